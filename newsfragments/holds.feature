A hold by filters has a leaf for each session in the ledger, and holds on when the state store is restored from an old copy.
