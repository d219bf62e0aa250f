"""
Any TCP protocol, recorded as it flows.
"""
