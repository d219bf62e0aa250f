"""
Recordings: written before anything is forwarded, sealed, recovered, read, verified.
"""
