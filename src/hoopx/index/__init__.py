"""
What can be listed and searched; made from the recordings, and made again from them at any time.
"""
