"""
The control interface.
"""
