"""
What a monitoring system asks the gateway for.
"""
