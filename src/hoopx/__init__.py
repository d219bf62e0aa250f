"""
hoopx: a recording gateway for PostgreSQL and other protocols, on Twisted.
"""

__version__ = "0.1.0"
