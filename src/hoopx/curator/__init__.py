"""
Everything slow that is done with sealed segments, in a process of its own.
"""
