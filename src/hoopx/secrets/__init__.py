"""
Where credentials of targets come from. The configuration holds references only.
"""
