``hoopx ledger rotate``, ``ledger renew`` and ``reindex`` are rows of the audit, too.
