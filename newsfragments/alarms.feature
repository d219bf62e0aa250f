Alarms are rows of the audit, and so in the ledger, and EVENTs in the recordings of the sessions that live.
