A gateway that finds other leaves of its own ledger in the store tells it (``ledger-store``): a copy of its data directory is at work, or it was restored from an older one.
