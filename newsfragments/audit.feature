``hoopx verify`` checks the audit against the ledger: rows that were changed, put in between or removed are told.
