"""
The append-only log of what was recorded: a Merkle tree that anybody can check.
"""
