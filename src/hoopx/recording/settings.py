# -*- test-case-name: tests.recording.test_store -*-
"""
What can be set about recordings.
"""

from __future__ import annotations

from attrs import frozen

MIB = 1 << 20


@frozen
class RecordingSettings:
    """
    @ivar durability: C{"written"} (handed to the kernel: survives a killed gateway) or C{"synced"} (on the disk: survives power
        loss).
    @ivar size: a segment is sealed when it has as many bytes; up to 16 times as many while they come within a second.
    @ivar age: a segment is sealed after as many seconds; up to 30 times as many while it holds little.
    @ivar reserve: bytes kept allocated, so that open recordings can be closed properly on a full disk.
    @ivar refuseBelow: no new session when fewer bytes are free.
    @ivar originals: public keys of auditors to whom unmasked bytes are sealed; without one they are not kept.
    """

    durability: str = "written"
    size: int = MIB
    age: float = 10.0
    reserve: int = 64 * MIB
    refuseBelow: int = 256 * MIB
    originals: tuple[str, ...] = ()
