"""
Witnesses of the ledger: who else has seen it, so that it can not be rolled back.
"""
