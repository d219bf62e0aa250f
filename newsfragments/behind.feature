The alarm ``behind`` says that what is sealed has waited for the ledger for ten minutes.
