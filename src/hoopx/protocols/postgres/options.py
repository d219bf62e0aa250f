# -*- test-case-name: tests.config.test_loader -*-
"""
Keys of C{[targets.X]} that are PostgreSQL's own.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class TargetOptions:
    """
    @ivar database: the target's own database; C{""} for the one named like the target.
    @ivar allow_md5: let the target ask for the password with md5, which can be cracked from what is seen on the wire.
    @ivar trust: accept a target that asks for no proof at all.
    """

    database: str = ""
    allow_md5: bool = False
    trust: bool = False
