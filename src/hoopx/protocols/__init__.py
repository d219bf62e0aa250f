"""
Protocols: one package each, with a codec, a conversation and a view.
"""
