"""
End to end: real servers and stock clients, through a gateway in a process of its own.

What is missing skips with the line that installs it; with C{HOOPX_REQUIRE_PEERS=1} it fails instead. C{HOOPX_PEERS_DIRECT=1} runs
each client's tests also without the gateway, for comparison; C{HOOPX_LONG=1} runs everything at full size.
"""
