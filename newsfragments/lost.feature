``hoopx sessions show``, ``replay``, ``export``, ``tag`` and ``review`` find sessions that are only in the store, with nothing of them left in the data directory.
