"""
twistd, with new sessions that wait much longer for the curator: how long its start takes is the machine's affair.
"""

from __future__ import annotations

from twisted.scripts.twistd import run

from hoopx.curator import asking

assert asking.PATIENCE  # one that has moved would be set in vain
asking.PATIENCE = 90.0  # type: ignore[misc]
run()
