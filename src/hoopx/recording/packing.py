# -*- test-case-name: tests.recording.test_packing -*-
"""
Packing a sealed segment in place: compressed (zstd), then encrypted to the auditors (age). A crash at any instant leaves the old file or
the new one under its name, and nothing else that matters.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import IO, Any, Final

import zstandard
from attrs import frozen

from hoopx.errors import HoopxError
from hoopx.frames import DONE, HEADER, OPEN, RECOVERED, SEAL, START, Decoder, FrameError, segmentName, unpack
from hoopx.frames import pack as canonical
from hoopx.reading import CHUNK, Unreadable
from hoopx.recording.auditors import recipients as parsed
from hoopx.recording.files import Files
from hoopx.recording.stored import AGE, PLAIN, SNIFF, UNKNOWN, kindOf, openSegment
from hoopx.values import Frame

LEVEL: Final = 3
"""Of zstd: its own default, some 300 MB/s a core; the next levels cost twice as much for some percent."""
TAIL: Final = 4096
"""Bytes at a segment's end in which DONE or RECOVERED and SEAL stand: about 500 each."""


class NotPackable(HoopxError):
    """It is no sealed segment, or can not be told from one that was tampered with. The file is as it was."""


class NotYet(HoopxError):
    """The segment is still C{open.hxr} by another name, or recovery has to come first: try again later."""


@frozen
class Packed:
    """
    What the ledger is told of a segment.

    @ivar object: hex SHA-256 of the file as it is now.
    @ivar size: its bytes.
    @ivar seal: hex SHA-256 of the SEAL frame's payload.
    """

    object: str
    size: int
    seal: str


def pack(
    path: str, compress: bool = True, recipients: Sequence[str] = (), files: Files | None = None, digest: str = ""
) -> Packed:
    """
    Pack a sealed segment in place. When it returns, the file and its name are on the disk. One that is packed already is left as it is,
    and its digests are told again. Blocks: for a thread, or the curator's process.

    Next to an encrypted segment lies C{NNNNNN.seal} until L{forget}: nobody here could read its SEAL any more.

    @param path: C{.../<session>/NNNNNN.hxr}
    @param recipients: age public keys of the auditors.
    @param digest: hex SHA-256 of the plain file, from who wrote it: taken for one that stays as it is. Where the disk has other bytes
        by now, verifying finds them.
    @raise NotPackable:
    @raise NotYet:
    @raise OSError: the disk failed, or is full; the segment is as it was.
    @raise hoopx.recording.auditors.KeyProblem: a recipient is none.
    """
    files = files or Files()
    auditors = parsed(recipients)
    with open(path, "rb") as file:
        kind = kindOf(file.read(SNIFF))
        if kind == UNKNOWN:
            raise NotPackable(f"{path} is no segment of a recording")
        if kind != PLAIN:
            return _again(path, file, kind, files)
        tail = _tail(file)
        seal = _sealOf(path, tail)
        if _isOpen(path, file):
            raise NotYet(f"{path} is still {OPEN}")
        file.seek(0)
        if not compress and not auditors:
            return _asItIs(path, file, seal, files, digest)
        if auditors:
            _syncSuccessor(path, tail, files)
        return _replace(path, file, seal, compress, auditors, files)


def forget(path: str, files: Files | None = None) -> None:
    """The ledger has the segment's digests now: remove what was kept beside it. C{path} is the segment's."""
    try:
        (files or Files()).unlink(_beside(path))
    except FileNotFoundError:
        pass


def _replace(path: str, file: IO[bytes], seal: str, compress: bool, auditors: list[Any], files: Files) -> Packed:
    status = os.fstat(file.fileno())
    new = path + ".new"
    descriptor = _fresh(new, files)
    try:
        try:
            writer = _Writer(files, descriptor)
            source: Any = file
            if compress:
                compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
                source = compressor.stream_reader(file, size=status.st_size, closefd=False)
            if auditors:
                writer.encrypt(source, auditors)
            else:
                writer.copy(source)
            packed = Packed(writer.digest.hexdigest(), writer.size, seal)
            # When it was sealed is all that can be told of an encrypted session's end.
            files.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
            files.fchmod(descriptor, 0o440)
            files.fsync(descriptor)
        finally:
            files.close(descriptor)
        if auditors:
            _keep(_beside(path), packed, files)
            files.syncDirectory(os.path.dirname(path))
        files.rename(new, path)
    except Exception:
        _unlink(new, files)
        raise
    files.syncDirectory(os.path.dirname(path))
    return packed


class _Writer:
    """Writes to a descriptor, and knows the digest and size of what it wrote."""

    def __init__(self, files: Files, descriptor: int) -> None:
        self._files = files
        self._descriptor = descriptor
        self._error: BaseException | None = None
        self.digest = sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        try:
            self._files.writeAll(self._descriptor, data)
        except BaseException as error:
            self._error = error
            raise
        self.digest.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """There is no buffer."""

    def copy(self, source: Any) -> None:
        while data := source.read(CHUNK):
            self.write(data)

    def encrypt(self, source: Any, auditors: list[Any]) -> None:
        import pyrage

        try:
            pyrage.encrypt_io(source, self, auditors)
        except Exception:
            # pyrage makes a text of it.
            raise self._error or OSError(errno.EIO, "the segment can not be read to be encrypted") from None


def _again(path: str, file: IO[bytes], kind: str, files: Files) -> Packed:
    """One that is packed: a crash may have kept its digests from whoever wanted them, and its name from the disk."""
    file.seek(0)
    digest, size = _digest(file)
    if kind == AGE:
        packed = _kept(path, digest, size)
    else:
        packed = Packed(digest, size, _sealOf(path, _tailOf(path)))
    files.fsync(file.fileno())
    files.syncDirectory(os.path.dirname(path))
    return packed


def _asItIs(path: str, file: IO[bytes], seal: str, files: Files, digest: str) -> Packed:
    size = os.fstat(file.fileno()).st_size
    if not digest:
        digest, size = _digest(file)
    files.fsync(file.fileno())
    files.syncDirectory(os.path.dirname(path))
    return Packed(digest, size, seal)


def _digest(file: IO[bytes]) -> tuple[str, int]:
    digest, size = sha256(), 0
    while data := file.read(CHUNK):
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


# -- the seal


def _tail(file: IO[bytes]) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL))
    return file.read()


def _tailOf(path: str) -> bytes:
    tail = b""
    try:
        with openSegment(path) as file:
            while data := file.read(CHUNK):
                tail = (tail + data)[-TAIL:]
    except Unreadable as error:
        raise NotPackable(f"{path}: {error}") from None
    return tail


def _sealOf(path: str, tail: bytes) -> str:
    """
    @param tail: the plain segment's last bytes.
    @return: hex SHA-256 of the SEAL frame's payload.
    @raise NotPackable: no SEAL ends it.
    """
    found = _framesFrom(tail, SEAL, 1)
    if not found:
        raise NotPackable(f"{path} does not end with a seal")
    return sha256(found[0].payload).hexdigest()


def _framesFrom(tail: bytes, kind: int, count: int) -> list[Frame]:
    """The last C{count} frames, if they begin with one of that kind, side, origin and channel 0; found by the end of its header."""
    pattern = bytes((0, 0, 0, 0, kind, 0, 0, 0))
    place = tail.rfind(pattern)
    while place >= 0:
        begin = place + len(pattern) - HEADER
        if begin >= 0:
            decoder = Decoder()
            try:
                found = decoder.feed(START + tail[begin:])
            except FrameError:
                found = []
            if len(found) == count and decoder.finish() is None:
                return found
        place = tail.rfind(pattern, 0, place)
    return []


# -- what lies beside


def _beside(path: str) -> str:
    return os.path.splitext(path)[0] + ".seal"


def _keep(name: str, packed: Packed, files: Files) -> None:
    descriptor = _fresh(name, files)
    try:
        files.writeAll(descriptor, canonical({"object": packed.object, "seal": packed.seal, "size": packed.size}))
        files.fsync(descriptor)
    finally:
        files.close(descriptor)


def _kept(path: str, digest: str, size: int) -> Packed:
    try:
        with open(_beside(path), "rb") as file:
            value = unpack(file.read(TAIL))
        kept = Packed(value["object"], value["size"], value["seal"])
    except FileNotFoundError:
        raise NotPackable(f"{path} is encrypted: its seal is known to the ledger, and to whoever can decrypt it") from None
    except (ValueError, KeyError) as error:
        raise NotPackable(f"{_beside(path)} can not be read: {error}") from None
    if (kept.object, kept.size) != (digest, size):
        raise NotPackable(f"{path} is not what was packed: its digest is another one")
    return kept


def _fresh(path: str, files: Files) -> int:
    """A new file, in place of one that a crash may have left. @return: its descriptor."""
    if os.path.lexists(path):
        _unlink(path, files)
    return files.create(path)


def _unlink(path: str, files: Files) -> None:
    try:
        files.unlink(path)
    except FileNotFoundError:
        pass


# -- the open segment


def _isOpen(path: str, file: IO[bytes]) -> bool:
    try:
        here, there = os.fstat(file.fileno()), os.stat(os.path.join(os.path.dirname(path), OPEN))
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _syncSuccessor(path: str, tail: bytes, files: Files) -> None:
    """
    What continues a segment (its LINK holds the hash and totals so far) is on the disk before that becomes unreadable here: recovery
    could not begin a next one.

    @raise NotYet: nothing continues it, and it is no session's end: recovery has to come first.
    """
    if _framesFrom(tail, DONE, 2) or _framesFrom(tail, RECOVERED, 2):
        return
    directory, name = os.path.split(path)
    continued = False
    for successor in (OPEN, segmentName(int(os.path.splitext(name)[0]) + 1)):
        try:
            descriptor = os.open(os.path.join(directory, successor), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            continued = continued or _begins(descriptor)
            files.fsync(descriptor)
        finally:
            files.close(descriptor)
    if not continued:
        raise NotYet(f"nothing continues {path}: recovery has to come first")
    files.syncDirectory(directory)


def _begins(descriptor: int) -> bool:
    """Does a segment begin with a whole frame? A packed one did, when it was packed."""
    begin = os.pread(descriptor, TAIL, 0)
    if kindOf(begin) != PLAIN:
        return kindOf(begin) != UNKNOWN
    try:
        return bool(Decoder().feed(begin))
    except FrameError:
        return False
