A search that finds nothing says so when what is said is not indexed at all.
