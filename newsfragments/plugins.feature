Protocols are Twisted plugins; any TCP protocol can be recorded as it flows.
