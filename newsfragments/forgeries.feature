``hoopx verify`` names ledgers without a checkpoint, bundles whose proofs are of other things, and changes of the last seal; and it waits for nothing that a hostile folder holds.
