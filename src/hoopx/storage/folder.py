# -*- test-case-name: tests.storage.test_folder -*-
"""
Objects as files: in a folder elsewhere (a second disk, a mount), or, for C{file:} alone, where the gateway has written them.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import IO, Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from zope.interface import implementer

from hoopx.errors import ConfigurationError
from hoopx.frames import pack, unpack
from hoopx.interfaces import IStorageBackend
from hoopx.reading import CHUNK
from hoopx.recording.files import Files
from hoopx.storage.errors import NotStored, StorageConflict, StorageError, StorageRefused, StorageUnavailable
from hoopx.storage.names import checked, isName
from hoopx.values import Receipt

META: Final = ".meta"
"""Behind an object's name: canonical JSON of checksum, retainUntil and held."""
NEW: Final = ".new"
"""Behind the name of what is being written."""
META_LIMIT: Final = 4096
"""Bytes of it: they are about 120."""
_SEALED: Final = re.compile(r"/[0-9]{6,}\.hxr$")
FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@implementer(IStorageBackend)
class FolderBackend:
    """
    @param root: absolute; it must be there: where it is not, something is not mounted.
    @param threads: has C{call(function, *arguments)} -> Deferred.
    """

    scheme = "file"

    def __init__(self, root: str, threads: Any, files: Files | None = None, wall: Callable[[], float] = time.time) -> None:
        self._root = root
        self._threads = threads
        self._files = files or Files()
        self._wall = wall

    def put(self, name: str, path: str, retainUntil: float | None, checksum: str | None = None) -> Deferred[Receipt]:
        return self._call(self._put, checked(name), path, retainUntil, checksum)

    def open(self, receipt: Receipt) -> Deferred[IO[bytes]]:
        return self._call(self._open, receipt)

    def stat(self, receipt: Receipt) -> Deferred[Receipt]:
        return self._call(self._stat, receipt.name)

    def delete(self, receipt: Receipt) -> Deferred[None]:
        return self._call(self._delete, receipt)

    def hold(self, receipt: Receipt, on: bool) -> Deferred[None]:
        return self._call(self._change, receipt.name, None, on)

    def retain(self, receipt: Receipt, until: float) -> Deferred[None]:
        return self._call(self._change, receipt.name, until, None)

    def list(self, prefix: str) -> Deferred[list[Receipt]]:
        return self._call(self._list, prefix)

    # -- in a thread

    def _call(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = self._threads.call(self._mapped, work, *arguments)
        return done

    def _mapped(self, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            if not os.path.isdir(self._root):
                raise StorageUnavailable(f"the store {self._root} is not there: is it mounted?")
            return work(*arguments)
        except FileNotFoundError as error:
            raise NotStored(f"{error.filename} is not there") from None
        except OSError as error:
            kind: type[StorageError] = StorageRefused if error.errno in FORBIDDEN else StorageUnavailable
            raise kind(f"the store {self._root} does not work: {error.strerror}") from None

    def _path(self, name: str) -> str:
        if name.endswith((META, NEW)):
            raise ValueError(f"not a name of a stored object: {name!r}")
        return os.path.join(self._root, *checked(name).split("/"))

    def _put(self, name: str, path: str, retainUntil: float | None, checksum: str | None) -> Receipt:
        target = self._path(name)
        made = self._files.makeDirectories(os.path.dirname(target))
        fresh = not os.path.lexists(target)
        if fresh:
            digest = self._copy(path, target + NEW, checksum)
            try:
                self._files.link(target + NEW, target)
            except FileExistsError:  # somebody was faster
                fresh = False
        else:
            digest = checksum or _digest(path)
        self._unlink(target + NEW)  # ours, or what a crash has left
        if not fresh and _digest(target) != digest:
            raise StorageConflict(f"{name} is taken by other bytes")
        before = self._described(name)
        receipt = evolve(before, checksum=digest, retainUntil=_later(before.retainUntil, retainUntil))
        if receipt != before:
            self._describe(receipt)
        for directory in [os.path.dirname(target), *made]:
            self._files.syncDirectory(directory)
        return receipt

    def _copy(self, path: str, new: str, checksum: str | None) -> str:
        """@return: the digest of what is safe under the name C{new}."""
        self._unlink(new)
        digest = sha256()
        with open(path, "rb") as file:
            descriptor = self._files.create(new)
            try:
                while data := file.read(CHUNK):
                    self._files.writeAll(descriptor, data)
                    digest.update(data)
                if checksum is not None and digest.hexdigest() != checksum:
                    raise StorageConflict(f"{path} is not what it was")
                self._files.fchmod(descriptor, 0o440)
                self._files.fsync(descriptor)
            except Exception:
                self._unlink(new)
                raise
            finally:
                self._files.close(descriptor)
        return digest.hexdigest()

    def _open(self, receipt: Receipt) -> IO[bytes]:
        return open(self._path(receipt.name), "rb", buffering=CHUNK)

    def _stat(self, name: str) -> Receipt:
        found = self._described(name)
        return found if found.checksum else evolve(found, checksum=_digest(self._path(name)))

    def _delete(self, receipt: Receipt) -> None:
        path = self._path(receipt.name)
        try:
            found = self._described(receipt.name)
        except FileNotFoundError:
            return
        if found.held or (found.retainUntil or 0.0) > self._wall():
            raise StorageRefused(f"{receipt.name} is locked")
        self._files.unlink(path)
        self._unlink(path + META)
        self._files.syncDirectory(os.path.dirname(path))

    def _change(self, name: str, until: float | None, held: bool | None) -> None:
        found = self._described(name)
        changed = evolve(found, retainUntil=_later(found.retainUntil, until), held=found.held if held is None else held)
        if changed != found:
            self._describe(changed)
            self._files.syncDirectory(os.path.dirname(self._path(name)))

    def _list(self, prefix: str) -> Sequence[Receipt]:
        return self._those(self._walk(self._root, "", prefix))

    def _those(self, names: Iterable[str]) -> Sequence[Receipt]:
        found = []
        for name in sorted(filter(isName, names)):
            try:
                found.append(self._described(name))
            except FileNotFoundError:  # gone meanwhile, or a link that leads nowhere
                continue
        return found

    def _walk(self, folder: str, above: str, prefix: str) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = above + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if f"{name}/".startswith(prefix) or prefix.startswith(f"{name}/"):
                        yield from self._walk(entry.path, f"{name}/", prefix)
                elif name.startswith(prefix) and not name.endswith((META, NEW)):
                    yield name

    # -- what is known of an object

    def _described(self, name: str) -> Receipt:
        """@raise FileNotFoundError: there is no such object."""
        path = self._path(name)
        size = os.stat(path).st_size
        try:
            with open(path + META, "rb") as file:
                value = unpack(file.read(META_LIMIT))
            return Receipt(name, None, str(value["checksum"]), value["retainUntil"], size, held=bool(value["held"]))
        except FileNotFoundError:  # a crash came between the two, or nobody asked for one
            return Receipt(name, None, "", None, size)
        except (ValueError, KeyError) as error:
            raise StorageRefused(f"{path + META} can not be read: {error}") from None

    def _describe(self, receipt: Receipt) -> None:
        path = self._path(receipt.name) + META
        self._unlink(path + NEW)
        descriptor = self._files.create(path + NEW)
        try:
            value = {"checksum": receipt.checksum, "retainUntil": receipt.retainUntil, "held": receipt.held}
            self._files.writeAll(descriptor, pack(value))
            self._files.fsync(descriptor)
        finally:
            self._files.close(descriptor)
        self._files.rename(path + NEW, path)

    def _unlink(self, path: str) -> None:
        if os.path.lexists(path):
            self._files.unlink(path)


class InPlace(FolderBackend):
    """
    C{file:}: the packed segments where they are. Nothing is copied; a file is written beside one only to hold or retain it.

    @param data: the data directory.
    @param node: first part of all names.
    """

    def __init__(
        self, data: str, node: str, threads: Any, files: Files | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        super().__init__(data, threads, files, wall)
        self._node = node

    def _path(self, name: str) -> str:
        node, _, rest = checked(name).partition("/")
        if node != self._node or not rest:
            raise NotStored(f"{name} is not of this gateway")
        return os.path.join(self._root, "recordings", *rest.split("/"))

    def _put(self, name: str, path: str, retainUntil: float | None, checksum: str | None) -> Receipt:
        target = self._path(name)
        if not os.path.samefile(path, target):
            raise StorageConflict(f"{path} is not {target}")
        return evolve(self._described(name), checksum=checksum or _digest(target))

    def _list(self, prefix: str) -> Sequence[Receipt]:
        top = os.path.join(self._root, "recordings")
        if not os.path.isdir(top):
            return []
        names = self._walk(top, f"{self._node}/", prefix)
        return self._those(filter(_SEALED.search, names))


def _later(one: float | None, other: float | None) -> float | None:
    return max(one or 0.0, other or 0.0) or None


def _digest(path: str) -> str:
    digest = sha256()
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


def make(place: str, settings: Any, threads: Any, secrets: Any) -> FolderBackend:
    """The backend of C{store = "file:"} and C{store = "file:/folder"}."""
    if not place:
        return InPlace(settings.gateway.data, settings.gateway.name, threads)
    if not os.path.isabs(place):
        raise ConfigurationError('expected the whole path of a folder, such as "file:/mnt/recordings"', key="recording.store")
    return FolderBackend(os.path.normpath(place), threads)
