``hoopx retention`` erases what need not be kept any longer, never what is held, and never because a clock jumped; the audit itself is in the ledger.
