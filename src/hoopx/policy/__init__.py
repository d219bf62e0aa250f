"""
Who may do what: pure, synchronous, and closed where nothing is said.
"""
