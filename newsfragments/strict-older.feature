``hoopx verify --strict`` says of a session that it is older than a ledger that was renewed, and which ledger it was recorded under, instead of only that no ledger has it.
