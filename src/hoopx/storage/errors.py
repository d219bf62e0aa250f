# -*- test-case-name: tests.storage.test_contract -*-
"""
What can go wrong with a store, by what is to be done about it.
"""

from __future__ import annotations

from hoopx.errors import HoopxError


class StorageError(HoopxError):
    """Root of them."""


class StorageUnavailable(StorageError):
    """The store is away, slow, or full: try again later, with back-off. The local copy stays."""


class StorageRefused(StorageError):
    """
    The store does not let us: wrong or expired credentials, no permission, no such bucket, an object that is locked. A person must look;
    try again later all the same.
    """


class CredentialsRefused(StorageRefused):
    """It does not believe who we are: the credentials are wrong, or their time is over. Others may be there by now."""


class StorageConflict(StorageError):
    """Other bytes stand under this name, or these are not what they should be. Nothing was written; trying again does not help."""


class NotStored(StorageError):
    """There is no such object, or not in this version."""
