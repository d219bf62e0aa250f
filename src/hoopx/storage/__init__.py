"""
Where sealed segments are kept: backends behind one interface, L{hoopx.interfaces.IStorageBackend}, found as plugins by their scheme.

What every backend promises:

  - A name is taken once. What stands under it is never overwritten: other bytes are a L{hoopx.storage.errors.StorageConflict}, the same
    bytes are success, so that whoever does not know whether his last C{put} arrived puts again.
  - When C{put} has succeeded, the object is where it will be: synced, or acknowledged by the store.
  - Errors are L{hoopx.storage.errors.StorageUnavailable} (again later), L{hoopx.storage.errors.StorageRefused} (again later, and somebody
    must be told), L{hoopx.storage.errors.StorageConflict} (never again with these bytes), L{hoopx.storage.errors.NotStored}. Their texts
    hold no secret.
  - Nothing blocks the reactor: what waits, waits in a thread.

Objects of a store that several gateways share are named C{<node>/<YYYY>/<MM>/<DD>/<session>/<NNNNNN>.hxr}.
"""
