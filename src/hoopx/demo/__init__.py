"""
A whole gateway on one machine, with a guided tour.
"""
