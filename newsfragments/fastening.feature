The ledger's objects in a store with Object Lock stay locked as long as a session that is stored may need them.
