The search index is written by a process of its own, of low priority: on a busy machine new sessions no longer wait for it.
