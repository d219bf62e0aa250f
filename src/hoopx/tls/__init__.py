"""
TLS towards clients and targets.
"""
