# -*- test-case-name: tests.storage.test_s3login -*-
"""
Who we are to S3: a client of boto3, made with the credentials that there are, and made again when they have been rotated.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.failure import Failure

from hoopx.errors import Refusal
from hoopx.storage.errors import StorageRefused
from hoopx.storage.s3answers import bound
from hoopx.storage.s3errors import explained
from hoopx.values import Reference

CONNECT: Final = 5.0
"""Seconds to connect: a store that needs longer is away, and the next try comes with back-off."""
READ: Final = 30.0
"""Seconds without a byte: a large object on a slow line goes on sending; silence of this length is a dead peer."""
ATTEMPTS: Final = 3
"""Tries of one call, the first one counted: what a moment's trouble needs. Longer trouble is the caller's, who has back-off and a queue."""
CONNECTIONS: Final = 8
"""Open at once: as many as there are threads for it."""


@frozen
class Without:
    """What C{[recording.s3]} says where there is none: Amazon's own, with the machine's role."""

    endpoint: str | None = None
    region: str | None = None
    accessKey: Reference | None = None
    secretKey: Reference | None = None
    sessionToken: Reference | None = None
    objectLock: str = "COMPLIANCE"


class Login:
    """
    @param settings: L{hoopx.config.settings.S3Settings}.
    @param threads: has C{call(function, *arguments)} -> Deferred.
    @param secrets: has C{fetch(reference, None, None)} -> Deferred[bytes].
    @param connect: see L{client}; in a thread.
    """

    def __init__(self, bucket: str, settings: Any, threads: Any, secrets: Any, connect: Callable[..., Any]) -> None:
        self._bucket = bucket
        self._settings = settings
        self._threads = threads
        self._secrets = secrets
        self._connect = connect
        self._client: Any = None
        self._keys: list[str | None] = []
        self._waiting: list[Deferred[Any]] | None = None

    def ready(self) -> Deferred[Any]:
        """@return: Deferred[a client]; fails with L{StorageRefused}."""
        return succeed(self._client) if self._client is not None else self._fresh()

    def renewed(self, client: Any) -> Deferred[Any]:
        """
        The store has refused the credentials of this client: look whether there are others by now.

        @return: Deferred[another client, or C{None}: they are the same]; fails with L{StorageRefused}.
        """
        found: Deferred[Any] = self._fresh() if self._client in (client, None) else succeed(self._client)
        return found.addCallback(lambda other: None if other is client else other)

    def _fresh(self) -> Deferred[Any]:
        """Fetch the credentials, once for all who ask at the same time."""
        waiter: Deferred[Any] = Deferred()
        if self._waiting is not None:
            self._waiting.append(waiter)
            return waiter
        self._waiting = [waiter]
        references = [self._settings.accessKey, self._settings.secretKey, self._settings.sessionToken]
        fetched: Deferred[Any] = gatherResults([self._secret(each) for each in references], consumeErrors=True)
        fetched.addCallbacks(self._with, self._noSecret).addBoth(self._tell)
        return waiter

    def _tell(self, found: Any) -> None:
        waiting, self._waiting = self._waiting or [], None
        for each in waiting:
            each.callback(found)  # with a Failure, that fails it

    def _with(self, keys: list[str | None]) -> Any:
        if self._client is not None and keys == self._keys:
            return self._client
        return self._threads.call(self._begin, keys)

    def _secret(self, reference: Reference | None) -> Deferred[str | None]:
        if reference is None:
            return succeed(None)
        fetched: Deferred[bytes] = self._secrets.fetch(reference, None, None)
        return fetched.addCallback(_text, reference)

    def _noSecret(self, failure: Failure) -> Failure:
        first = failure.value.subFailure if hasattr(failure.value, "subFailure") else failure
        said = str(first.value) if isinstance(first.value, (Refusal, StorageRefused)) else "its credentials can not be had"
        return Failure(StorageRefused(f"s3:{self._bucket}: {said}"))

    def _begin(self, keys: list[str | None]) -> Any:
        try:
            made = self._connect(self._settings, *keys)
        except Exception as error:
            raise explained(error, f"s3:{self._bucket}") from None
        self._client, self._keys = made, keys
        return made


def _text(secret: bytes, reference: Reference) -> str:
    try:
        return secret.decode("ascii").strip()
    except UnicodeDecodeError:
        raise StorageRefused(f"the secret {reference.scheme}:{reference.name} is no key of S3") from None


def client(settings: Any, access: str | None, secret: str | None, token: str | None = None) -> Any:
    """
    @param access: C{None} for what boto3 finds by itself: the machine's or the workload's own role.
    @param token: of temporary credentials (AWS STS), or C{None}.
    @return: a client of boto3, which threads may share.
    """
    import boto3
    from botocore.config import Config

    trusted = ssl.get_default_verify_paths().cafile
    made = boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region or ("us-east-1" if settings.endpoint else None),
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        aws_session_token=token,
        verify=trusted if trusted and os.path.exists(trusted) else None,
        config=Config(
            connect_timeout=CONNECT,
            read_timeout=READ,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            signature_version="s3v4",
            s3={"addressing_style": "path" if settings.endpoint else "auto"},
        ),
    )
    return bound(made)
