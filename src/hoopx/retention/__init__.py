"""
How long recordings are kept, what is held, and how they are erased.
"""
