"""
Who somebody is: access tokens, client certificates, services behind a listener.
"""
