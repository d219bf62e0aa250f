Who waits for a ledger says which process has it, and what to do when that one was stopped.
