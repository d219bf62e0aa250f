``hoopx verify`` names partial tiles of earlier checkpoints that contradict the ledger.
