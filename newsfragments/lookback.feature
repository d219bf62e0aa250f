``hoopx reindex`` also reads sessions that are only in the store, with nothing of them left in the data directory; what is erased meanwhile stays away.
