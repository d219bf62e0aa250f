# -*- test-case-name: tests.storage.test_s3 -*-
"""
Objects in a bucket of S3, with Object Lock: boto3, in threads.
"""

from __future__ import annotations

import io
import math
import os
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import ConfigurationError
from hoopx.heading import LAST
from hoopx.interfaces import IStorageBackend
from hoopx.reading import CHUNK
from hoopx.storage.errors import NotStored, StorageConflict, StorageRefused, StorageUnavailable
from hoopx.storage.names import checked
from hoopx.storage.reading import HUGE
from hoopx.storage.s3errors import DIGEST, TAKEN, codeOf, explained
from hoopx.storage.s3login import Login, Without, client
from hoopx.values import Receipt

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SOON: Final = 60.0
"""Seconds: a lock that ends sooner is not asked for. S3 refuses dates that are past on its own clock."""
PAGE: Final = 1000
"""Versions of one answer: S3's own limit."""
STALE: Final = 1000
"""Pages on end in which nothing is new: none of a list that comes to its end."""
DELETED: Final = 204
"""What S3 says of an object that was deleted: nothing."""

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PLACE: Final = 'expected a bucket, and a prefix if you like, such as "s3:bucket/prefix"'


@implementer(IStorageBackend)
class S3Backend:
    """
    The credentials are fetched at the first call, and again when the store has refused them: rotated ones need no restart. Who keeps
    something beyond the year 9999 gets the last date that S3 can say.

    @param prefix: C{""}, or what stands before each name, with a slash at its end.
    @param settings: L{hoopx.config.settings.S3Settings}.
    @param threads: has C{call(function, *arguments)} -> Deferred.
    @param secrets: has C{fetch(reference, None, None)} -> Deferred[bytes].
    @param connect: callable(settings, access key, secret key, session token, or C{None} for each) -> client of boto3; in a thread.
    """

    scheme = "s3"

    def __init__(
        self,
        bucket: str,
        prefix: str,
        settings: Any,
        threads: Any,
        secrets: Any,
        connect: Callable[..., Any] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._settings = settings
        self._threads = threads
        self._login = Login(bucket, settings, threads, secrets, connect or client)
        self._wall = wall
        self._locks = settings.objectLock != "none"
        self._proved = False

    def put(self, name: str, path: str, retainUntil: float | None, checksum: str | None = None) -> Deferred[Receipt]:
        until = None if retainUntil is None else min(retainUntil, LAST)
        return self._call("put", self._put, checked(name), path, until, checksum)

    def open(self, receipt: Receipt) -> Deferred[IO[bytes]]:
        return self._call("read", self._open, receipt.name, receipt)

    def stat(self, receipt: Receipt) -> Deferred[Receipt]:
        return self._call("look at", self._stat, receipt.name, receipt.version)

    def delete(self, receipt: Receipt) -> Deferred[None]:
        return self._call("delete", self._delete, receipt.name, receipt)

    def hold(self, receipt: Receipt, on: bool) -> Deferred[None]:
        return self._call("hold", self._hold, receipt.name, receipt, on)

    def retain(self, receipt: Receipt, until: float) -> Deferred[None]:
        return self._call("retain", self._retain, receipt.name, receipt, min(until, LAST))

    def list(self, prefix: str) -> Deferred[list[Receipt]]:
        return self._call("list", self._list, prefix)

    def _call(self, verb: str, work: Callable[..., Any], name: str, *arguments: Any) -> Deferred[Any]:
        what = f"s3:{self._bucket}: {verb} {self._prefix}{name}"

        def ask(s3: Any) -> Deferred[Any]:
            asked: Deferred[Any] = self._threads.call(self._mapped, what, work, s3, name, *arguments)
            return asked

        def refused(failure: Failure, s3: Any) -> Any:
            """
            Temporary credentials end every hour or so: that is no alarm, as long as there are others then. Asked once. And credentials
            that are good, of somebody who may not do this, may have been a slip that is mended by now.
            """
            failure.trap(StorageRefused)
            other = self._login.renewed(s3).addErrback(lambda _: None)
            return other.addCallback(lambda found: failure if found is None else ask(found))

        return self._login.ready().addCallback(lambda s3: ask(s3).addErrback(refused, s3))

    def _mapped(self, what: str, work: Callable[..., Any], s3: Any, *arguments: Any) -> Any:
        try:
            return work(s3, *arguments)
        except Exception as error:
            raise explained(error, what) from None

    # -- in a thread

    def _where(self, name: str, version: str | None = None) -> dict[str, str]:
        where = {"Bucket": self._bucket, "Key": self._prefix + name}
        return where if version is None else {**where, "VersionId": version}

    def _put(self, s3: Any, name: str, path: str, retainUntil: float | None, checksum: str | None) -> Receipt:
        lock: dict[str, Any] = {}
        if self._locks and retainUntil is not None and retainUntil > self._wall() + SOON:
            lock = {"ObjectLockMode": self._settings.objectLock, "ObjectLockRetainUntilDate": _date(retainUntil)}
        with _local(path) as file:
            size = os.fstat(file.fileno()).st_size
            digest = checksum or _digest(file)
            try:
                said = s3.put_object(  # with Object Lock some want the algorithm by its name, too
                    **self._where(name), **lock, Body=file, IfNoneMatch="*", ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=_base64(digest), ContentType="application/octet-stream",
                )  # fmt: skip
            except Exception as error:
                if codeOf(error) in DIGEST and _digest(file) != digest:
                    raise StorageConflict(f"{path} is not what it was") from None
                if codeOf(error) != TAKEN:
                    raise
                return self._taken(s3, name, digest, size, retainUntil if lock else None)
        told = said.get("ChecksumSHA256")
        if told is None:
            self._look(s3, name, _version(said), digest, size)
        elif told != _base64(digest):
            raise StorageConflict(f"s3:{self._bucket}: {name} arrived as other bytes")
        receipt = Receipt(name, _version(said), digest, retainUntil if lock else None, size)
        if lock and not self._proved:
            self._prove(self._stat(s3, name, receipt.version))
        return receipt

    def _look(self, s3: Any, name: str, version: str | None, digest: str, size: int) -> None:
        """An answer without a checksum can be anybody's, such as a proxy's that says yes to everything: what is there is compared."""
        try:
            found = self._stat(s3, name, version)
        except Exception as error:
            if not isinstance(explained(error, ""), NotStored):
                raise
        else:
            if (found.size, found.checksum) == (size, digest):
                return
        raise StorageUnavailable(f"s3:{self._bucket}: {self._prefix}{name} is said to be stored, and is not there")

    def _taken(self, s3: Any, name: str, digest: str, size: int, retainUntil: float | None) -> Receipt:
        """The name is taken: by the same bytes, when a try before this one arrived and its answer did not."""
        try:
            found = self._stat(s3, name, None)
        except Exception as error:
            if not isinstance(explained(error, ""), NotStored):
                raise
            found = self._hidden(s3, name)
        if found.size != size or found.checksum != digest:
            raise StorageConflict(f"s3:{self._bucket}: {self._prefix}{name} is taken by other bytes")
        if retainUntil is not None and (found.retainUntil or 0.0) < math.floor(retainUntil):
            self._retain(s3, name, found, retainUntil)
            found = evolve(found, retainUntil=retainUntil)
        if retainUntil is not None and not self._proved:
            self._prove(self._stat(s3, name, found.version))
        return found

    def _hidden(self, s3: Any, name: str) -> Receipt:
        """Somebody has laid a marker over it, and this store takes the name for taken all the same: what is below, and newest."""
        for each in self._list(s3, name):
            if each.name == name and not each.deleted:
                return self._stat(s3, name, each.version)
        raise StorageUnavailable(f"s3:{self._bucket}: {self._prefix}{name} was taken, and is not there")

    def _prove(self, found: Receipt) -> None:
        """Some stores take the headers of Object Lock and lock nothing."""
        if found.retainUntil is None:
            raise StorageRefused(f"s3:{self._bucket}: the store does not lock what it is told to lock: no Object Lock in this bucket?")
        self._proved = True

    def _stat(self, s3: Any, name: str, version: str | None) -> Receipt:
        receipt = self._head(s3, name, version)
        if not receipt.checksum:
            size = HUGE if receipt.size is None else receipt.size
            if size > HUGE:
                raise StorageConflict(f"s3:{self._bucket}: {self._prefix}{name} is larger than any of ours")
            with self._body(s3, receipt) as file:
                receipt = evolve(receipt, checksum=_digest(file, size))
        return receipt

    def _head(self, s3: Any, name: str, version: str | None) -> Receipt:
        """@return: with C{""} for a checksum that the store has not kept."""
        said = s3.head_object(**self._where(name, version), ChecksumMode="ENABLED")
        until = said.get("ObjectLockRetainUntilDate")
        checksum = said.get("ChecksumSHA256")
        return Receipt(
            name,
            _version(said) or version,
            b64decode(checksum).hex() if checksum else "",
            until.timestamp() if until else None,
            said.get("ContentLength"),
            held=said.get("ObjectLockLegalHoldStatus") == "ON",
        )

    def _open(self, s3: Any, name: str, receipt: Receipt) -> IO[bytes]:
        return self._body(s3, receipt)

    def _body(self, s3: Any, receipt: Receipt) -> IO[bytes]:
        said = s3.get_object(**self._where(receipt.name, receipt.version), ChecksumMode="ENABLED")
        what = f"s3:{self._bucket}: read {self._prefix}{receipt.name}"
        return io.BufferedReader(_Body(said["Body"], what), CHUNK)

    def _delete(self, s3: Any, name: str, receipt: Receipt) -> None:
        # Without a version it would only be hidden, and nobody would know.
        version = receipt.version or "null"
        try:
            said = s3.delete_object(**self._where(name, version))
            if said.get("ResponseMetadata", {}).get("HTTPStatusCode", DELETED) == DELETED:
                return
            s3.head_object(**self._where(name, version))  # a proxy says yes to everything
        except Exception as error:
            if not isinstance(explained(error, ""), NotStored):
                raise
        else:
            raise StorageUnavailable(f"s3:{self._bucket}: {self._prefix}{name} is said to be deleted, and is there")

    def _hold(self, s3: Any, name: str, receipt: Receipt, on: bool) -> None:
        if not self._locks:
            return
        s3.put_object_legal_hold(**self._where(name, receipt.version), LegalHold={"Status": "ON" if on else "OFF"})
        if self._head(s3, name, receipt.version).held != on:  # a proxy says yes to everything, here and below
            raise StorageUnavailable(f"s3:{self._bucket}: {self._prefix}{name} is said to be {'held' if on else 'let go'}, and is not")

    def _retain(self, s3: Any, name: str, receipt: Receipt, until: float) -> None:
        if not self._locks or (self._head(s3, name, receipt.version).retainUntil or 0.0) >= until:
            return
        retention = {"Mode": self._settings.objectLock, "RetainUntilDate": _date(until)}
        s3.put_object_retention(**self._where(name, receipt.version), Retention=retention)
        found = self._head(s3, name, receipt.version)
        self._prove(found)
        if (found.retainUntil or 0.0) < math.floor(until):
            raise StorageUnavailable(f"s3:{self._bucket}: {self._prefix}{name} is said to be kept for longer, and is not")

    def _list(self, s3: Any, prefix: str) -> Sequence[Receipt]:
        found: dict[tuple[str, str | None], Receipt] = {}  # some stores tell the last one of a page again on the next
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, PaginationConfig={"PageSize": PAGE}
        )
        stale = 0
        for page in pages:
            before = len(found)
            if "IsTruncated" not in page:  # S3 always says that. Else a proxy's page would be an empty bucket
                raise StorageUnavailable(f"s3:{self._bucket}: what came is no list of its objects")
            for each in page.get("Versions", ()):
                receipt = Receipt(self._name(each["Key"]), _version(each), "", None, each.get("Size"))
                found[receipt.name, receipt.version] = receipt
            for each in page.get("DeleteMarkers", ()):
                receipt = Receipt(self._name(each["Key"]), _version(each), "", None, deleted=True)
                found[receipt.name, receipt.version] = receipt
            stale = stale + 1 if len(found) == before else 0
            if stale > STALE:
                raise StorageUnavailable(f"s3:{self._bucket}: the list of its objects goes round in a circle")
        return sorted(found.values(), key=lambda receipt: receipt.name)

    def _name(self, key: str) -> str:
        return key[len(self._prefix) :]


class _Body(io.RawIOBase):
    """An object as it comes, with errors of ours."""

    def __init__(self, body: Any, what: str) -> None:
        self._body = body
        self._what = what

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._body.read(len(view))
        except Exception as error:
            raise explained(error, self._what) from None
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


def _version(said: dict[str, Any]) -> str | None:
    """C{"null"} is S3's name for what was written while there were no versions."""
    version = said.get("VersionId")
    return version if version != "null" else None


def _local(path: str) -> IO[bytes]:
    """@raise StorageConflict: what is to be stored can not be read here."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise StorageConflict(f"{path} can not be read: {error.strerror}") from None


def _digest(file: IO[bytes], limit: int | None = None) -> str:
    """
    Of all of a file; it is at its beginning again afterwards, where it can be.

    @param limit: bytes that it is said to have.
    @raise StorageUnavailable: it has more.
    """
    seekable = file.seekable()
    if seekable:
        file.seek(0)
    digest = sha256()
    while data := file.read(CHUNK):
        digest.update(data)
        if limit is not None:
            limit -= len(data)
            if limit < 0:
                raise StorageUnavailable("the store sends more than the object is said to have")
    if seekable:
        file.seek(0)
    return digest.hexdigest()


def _base64(digest: str) -> str:
    return b64encode(bytes.fromhex(digest)).decode("ascii")


def _date(moment: float) -> datetime:
    return datetime.fromtimestamp(math.ceil(moment), timezone.utc)


def make(place: str, settings: Any, threads: Any, secrets: Any) -> S3Backend:
    """
    The backend of C{store = "s3:bucket/prefix"}.

    @raise ConfigurationError:
    """
    bucket, _, prefix = place.partition("/")
    prefix = prefix.strip("/")
    try:
        if not _BUCKET.fullmatch(bucket) or (prefix and not checked(prefix)):
            raise ValueError
    except ValueError:
        raise ConfigurationError(_PLACE, key="recording.store") from None
    try:
        import boto3  # noqa: F401
    except ImportError:
        raise ConfigurationError('the store "s3:" needs boto3: pip install "hoopx[s3]"', key="recording.store") from None
    return S3Backend(bucket, f"{prefix}/" if prefix else "", settings.recording.s3 or Without(), threads, secrets)
