A second process packs, encrypts, stores, indexes and logs what is sealed; every session stands in the ledger before it reaches its target.
