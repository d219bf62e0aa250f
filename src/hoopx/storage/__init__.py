"""
Where sealed segments are kept: backends behind one interface.
"""
