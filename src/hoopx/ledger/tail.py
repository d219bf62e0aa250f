# -*- test-case-name: tests.ledger.test_tail -*-
"""
The tail: the newest leaves in one file, so that appending is one write and one fdatasync. Full bundles leave it for the tiles.

Header, 28 bytes, big-endian: magic, index of the first leaf u64, how many leaves the first record has u32, CRC-32 of both u32, zeros u32.
Record, one for each append: marker, length of the payload u32, index of its first leaf u64, CRC-32 of these two and the payload u32,
payload (a bundle: each leaf behind its length, u16). A record is there whole or not at all. No leaf has the marker in it: leaves are ASCII.
"""

from __future__ import annotations

import os
import struct
from typing import Final, Sequence
from zlib import crc32

from hoopx.ledger.errors import LedgerDamaged
from hoopx.ledger.tiles import decodeBundle, encodeBundle
from hoopx.recording.files import Files

MAGIC: Final = b"\x89HXT\r\n\x1a\n"
MARKER: Final = b"\x89HXR"

_header = struct.Struct(">8sQIII")
_record = struct.Struct(">4sIQI")

TAIL: Final = "tail"


class Tail:
    """
    The file, open for appending.

    @ivar broken: C{True} when nobody knows what the disk has: nothing more may be appended.
    """

    def __init__(self, descriptor: int, length: int, files: Files) -> None:
        self._descriptor = descriptor
        self._length = length
        self._files = files
        self.broken = False

    @classmethod
    def prepare(cls, directory: str, files: Files, start: int, leaves: Sequence[bytes]) -> Tail:
        """
        Write a tail that takes the other one's place at L{commit}. Its bytes are on the disk when this returns.

        @param start: index of the first leaf.
        """
        first = _encode(start, leaves) if leaves else b""
        check = crc32(struct.pack(">QI", start, len(leaves)))
        data = _header.pack(MAGIC, start, len(leaves), check, 0) + first
        descriptor = files.create(os.path.join(directory, TAIL + ".new"), os.O_TRUNC)
        try:
            files.writeAll(descriptor, data)
            files.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, len(data), files)

    def commit(self, directory: str) -> None:
        """@raise OSError: either file may be the tail now; only opening the ledger again can tell."""
        path = os.path.join(directory, TAIL)
        self._files.rename(path + ".new", path)
        self._files.syncDirectory(directory)

    def append(self, start: int, leaves: Sequence[bytes]) -> None:
        """
        Durable when it returns.

        @raise OSError: nothing was appended, or it is L{broken}.
        """
        data = _encode(start, leaves)
        try:
            self._files.writeAll(self._descriptor, data)
        except OSError:
            # Half a record must not stand before the next one.
            self.broken = True
            self._files.ftruncate(self._descriptor, self._length)
            self.broken = False
            raise
        self.broken = True  # also when the process is killed inside
        self._files.fdatasync(self._descriptor)  # EIO here is final: the kernel may have dropped the pages
        self.broken = False
        self._length += len(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def readTail(data: bytes, where: str) -> tuple[int, list[bytes]]:
    """
    @param data: the file.
    @param where: its path, for errors.
    @return: index of the first leaf, and the leaves. An append that was cut short is left out.
    @raise LedgerDamaged: something is wrong that no crash explains.
    """
    if len(data) < _header.size:
        raise LedgerDamaged(f"{where}: too short")
    magic, start, count, check, _ = _header.unpack_from(data)
    if magic != MAGIC or check != crc32(struct.pack(">QI", start, count)):
        raise LedgerDamaged(f"{where}: its head is damaged")
    leaves: list[bytes] = []
    at = _header.size
    while True:
        found = _decode(data, at, start + len(leaves))
        if found is None:
            break
        more, at = found
        leaves += more
    if len(leaves) < count:
        raise LedgerDamaged(f"{where}: {len(leaves)} of its first {count} leaves can be read")
    after = data.find(MARKER, at + 1)
    while after >= 0:
        # Leaves behind a gap: they were promised after those in the gap, so this is no append that was cut short.
        if _decode(data, after, None) is not None:
            raise LedgerDamaged(f"{where}: damaged at byte {at}, before leaves that can be read")
        after = data.find(MARKER, after + 1)
    return start, leaves


def _encode(start: int, leaves: Sequence[bytes]) -> bytes:
    payload = encodeBundle(leaves)
    check = crc32(payload, crc32(struct.pack(">IQ", len(payload), start)))
    return _record.pack(MARKER, len(payload), start, check) + payload


def _decode(data: bytes, at: int, expected: int | None) -> tuple[list[bytes], int] | None:
    """The leaves of a record and where the next begins, or C{None} when there is none."""
    if at + _record.size > len(data):
        return None
    marker, length, start, check = _record.unpack_from(data, at)
    stop = at + _record.size + length
    if marker != MARKER or stop > len(data) or expected not in (None, start):
        return None
    payload = data[at + _record.size : stop]
    if check != crc32(payload, crc32(struct.pack(">IQ", length, start))):
        return None
    try:
        return decodeBundle(payload), stop
    except ValueError:
        return None
