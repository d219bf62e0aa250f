# -*- test-case-name: tests.recording.test_stored -*-
"""
Reading a segment however it is stored: plain, compressed (zstd, RFC 8878), or encrypted (age v1). Streams; memory is bounded.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import partial
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, Final

import zstandard

from hoopx.errors import HoopxError
from hoopx.frames import MAGIC
from hoopx.reading import CHUNK, Opener, Unreadable
from hoopx.recording.files import openRegular

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PLAIN: Final = "plain"
ZSTD: Final = "zstd"
AGE: Final = "age"
UNKNOWN: Final = "unknown"

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
AGE_ANY: Final = b"age-encryption.org/"
AGE_MAGIC: Final = AGE_ANY + b"v1\n"
SNIFF: Final = 32
"""Bytes that tell what a file is, and of a zstd frame how much is in it."""

LARGEST: Final = 512 * 1024 * 1024
"""Bytes of a plain segment. The writer seals at 16 MiB at most by configuration, at 16 times as many in bulk, and a few payloads may be
under way then: twice that is more than any honest segment, and what a bomb can cost is the time to read it."""
WINDOW: Final = 8 * 1024 * 1024
"""Bytes of memory that decompressing may take: what every decoder is to have (RFC 8878, 3.1.1.1.2); ours are made with 2 MiB."""


class Encrypted(HoopxError):
    """A segment is encrypted, and no identity that opens it was given. C{segment} is its file's name."""

    def __init__(self, segment: str, message: str) -> None:
        super().__init__(f"{segment} {message}")
        self.segment = segment


class WrongIdentity(Encrypted):
    """Identities were given; it is encrypted to none of them."""


def kindOf(begin: bytes) -> str:
    """@param begin: the first L{SNIFF} bytes of a file. @return: C{PLAIN}, C{ZSTD}, C{AGE} or C{UNKNOWN}."""
    if begin.startswith(MAGIC):
        return PLAIN
    if begin.startswith(ZSTD_MAGIC):
        return ZSTD
    return AGE if begin.startswith(AGE_ANY) else UNKNOWN


def opener(identities: Sequence[Any] = ()) -> Opener:
    """@return: L{openSegment} with identities, as L{hoopx.reading.readSession} and the other readers of sessions take it."""
    return partial(openSegment, identities=identities)


def openSegment(path: str | os.PathLike[str], identities: Sequence[Any] = ()) -> IO[bytes]:
    """
    Open a segment for reading, whatever its first bytes say. Something else than a segment is opened as it is: the decoder of frames
    says what is wrong with it.

    @param identities: from L{hoopx.recording.auditors.identities}.
    @return: the plain segment, from its beginning; not seekable when it is packed. C{fileno} is that of the file. Reading raises
        L{Unreadable} where the file is torn or damaged.
    @raise FileNotFoundError: and other C{OSError}.
    @raise Encrypted: no identity opens it.
    @raise Unreadable: it is damaged at its very beginning, or of a newer format of age.
    """
    file = open(openRegular(path), "rb", buffering=CHUNK)
    try:
        return unpacked(file, os.path.basename(path), identities)
    except BaseException:
        file.close()
        raise


def plainSize(path: str, opener: Opener) -> int:
    """@return: bytes of the plain segment, for progress; those of the file where it is not told."""
    try:
        with opener(path) as file:
            raw = getattr(file, "raw", None)
            if isinstance(raw, _Plain) and raw.size is not None:
                return raw.size
    except (Unreadable, Encrypted):
        pass
    return os.path.getsize(path)


def unpacked(file: IO[bytes], segment: str, identities: Sequence[Any] = ()) -> IO[bytes]:
    """Like L{openSegment}, for a file that is open, at its beginning, with C{peek}; a stored object for one."""
    begin = _peek(file)
    kind = kindOf(begin)
    if kind == ZSTD:
        return io.BufferedReader(_Plain(file, _inflate(file, begin), _sizeOf(begin)), CHUNK)
    if kind != AGE:
        return file
    if not begin.startswith(AGE_MAGIC):
        version = begin.partition(b"\n")[0].decode("ascii", "replace")
        raise Unreadable(f"the segment is encrypted in a format that is not known to this version ({version})")
    if not identities:
        raise Encrypted(segment, "is encrypted to the auditors: give --identity KEYFILE")
    decrypted = _Decrypted(file, segment, identities)
    inner = io.BufferedReader(decrypted, CHUNK)
    try:
        begin = _peek(inner)
        if kindOf(begin) != ZSTD:
            return io.BufferedReader(_Plain(inner, inner, None), CHUNK)
        return io.BufferedReader(_Plain(inner, _inflate(inner, begin), _sizeOf(begin)), CHUNK)
    except BaseException:
        inner.close()
        raise


def _peek(file: Any) -> bytes:
    begin: bytes = file.peek(SNIFF)
    return begin[:SNIFF]


def _sizeOf(begin: bytes) -> int:
    """@raise Unreadable: the zstd frame does not say how much is in it, or says too much."""
    try:
        size = zstandard.get_frame_parameters(begin).content_size
    except zstandard.ZstdError as error:
        raise Unreadable(f"the compressed segment is damaged: {error}") from None
    if size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR):
        raise Unreadable("the compressed segment does not say how long it is: not written by hoopx")
    if size > LARGEST:
        raise Unreadable(f"the compressed segment would be {size} bytes long, and segments are at most {LARGEST}")
    return int(size)


def _inflate(file: Any, begin: bytes) -> Any:
    return zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True, closefd=False)


class _Plain(io.RawIOBase):
    """
    The plain bytes, counted.

    @param below: what C{source} reads from; closed with this.
    @param size: how many bytes there must be, or C{None} when that is not said.
    """

    def __init__(self, below: Any, source: Any, size: int | None) -> None:
        self._below = below
        self._source = source
        self.size = size
        self._read = 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._below.fileno())

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._source.read(len(view))
        except zstandard.ZstdError as error:
            raise Unreadable(f"the compressed segment is damaged: {error}") from None
        count = len(data)
        view[:count] = data
        self._read += count
        limit = LARGEST if self.size is None else self.size
        if self._read > limit:
            raise Unreadable(f"there is more than {limit} bytes in it")
        if not count and self.size is not None and self._read < self.size:
            raise Unreadable(f"the compressed segment is cut off: {self._read} of {self.size} bytes can be read")
        return count

    def close(self) -> None:
        if not self.closed:
            self._below.close()
        super().close()


class _Decrypted(io.RawIOBase):
    """
    What age decrypts, through a pipe from a thread of its own: pyrage pushes and readers pull, and the pipe holds 64 KiB between them.
    """

    def __init__(self, file: Any, segment: str, identities: Sequence[Any]) -> None:
        self._file = file
        self._segment = segment
        self._error: BaseException | None = None
        self._pipe, writing = os.pipe2(os.O_CLOEXEC)
        self._thread = Thread(target=self._run, args=(writing, list(identities)), name="hoopx decrypts", daemon=True)
        self._thread.start()

    def _run(self, writing: int, identities: list[Any]) -> None:
        import pyrage

        try:
            with open(writing, "wb", buffering=CHUNK) as pipe:
                pyrage.decrypt_io(self._file, pipe, identities)
        except BaseException as error:  # told to the reader; a pipe that it has closed is told to nobody
            self._error = error

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._file.fileno())

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = os.readv(self._pipe, [memoryview(buffer).cast("B")])
        if not count:
            self._thread.join()
            if self._error is not None:
                raise self._explained(self._error)
        return count

    def _explained(self, error: BaseException) -> Exception:
        import pyrage

        if isinstance(error, pyrage.DecryptError) and "No matching keys" in str(error):
            return WrongIdentity(self._segment, "is encrypted to others: none of the identities given opens it")
        return Unreadable(f"the encrypted segment is cut off or damaged ({error})")

    def close(self) -> None:
        if not self.closed:
            os.close(self._pipe)  # the thread's next write fails: it ends
            self._thread.join()
            self._file.close()
        super().close()
