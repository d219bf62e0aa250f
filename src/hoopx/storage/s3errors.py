# -*- test-case-name: tests.storage.test_s3errors -*-
"""
What S3 and the way to it say when something is wrong, as what is to be done about it.

Texts of the server are not passed on: some repeat the request, and that is signed. Codes are (Amazon S3 API reference, "Error responses").
"""

from __future__ import annotations

import re
from typing import Any, Final

from hoopx.storage.errors import CredentialsRefused, NotStored, StorageConflict, StorageError, StorageRefused, StorageUnavailable

CREDENTIALS: Final = {
    "InvalidAccessKeyId": "the access key is not known there",
    "XAdminUserNotFound": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "AuthorizationHeaderMalformed": "the region, or the access key, is wrong",
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "TokenRefreshRequired": "the credentials have expired",
    "InvalidToken": "the credentials are not valid (any more)",
    "RequestExpired": "the credentials, or the request, have expired",
    "RequestTimeTooSkewed": "this machine's clock and the store's differ too much",
    "AccountProblem": "the account has a problem",
}
"""Codes that speak of who we are: the credentials are to be fetched anew before the next try."""

REFUSED: Final = {
    "AccessDenied": "it is forbidden: no permission, or the object is locked",
    "NoSuchBucket": "there is no such bucket",
    "InvalidRequest": "the request is not allowed: has the bucket Object Lock?",
    "ObjectLockConfigurationNotFoundError": "the bucket has no Object Lock",
    "InvalidBucketState": "the bucket has no Object Lock",
    "PermanentRedirect": "the bucket is in another region",
    "NotImplemented": "the store can not do this (conditional writes, Object Lock): use one that can",
}
UNAVAILABLE: Final = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "TooManyRequests", "OperationAborted"}
    | {"ConditionalRequestConflict", "RequestThrottled", "BandwidthLimitExceeded", "XMinioStorageFull"}
)
TAKEN: Final = "PreconditionFailed"
DIGEST: Final = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
ABSENT: Final = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchObject", "NotFound", "MethodNotAllowed", "404", "405", ""})
"""With status 404, or 405 for a marker. An answer to HEAD has no body and its number for a code. What else says 404 speaks of something
else that is not there, such as a user: taken for an object, that would count as deleted."""
_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,64}")


def explained(error: BaseException, what: str) -> StorageError:
    """
    @param error: of boto3, or L{OSError} of its connections.
    @param what: what was tried, such as C{"s3:bucket: put x/y"}.
    @return: what to raise in its place.
    """
    if isinstance(error, StorageError):
        return error
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return _answered(codeOf(error), _status(response), what)
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"):
        return StorageRefused(f"{what}: there are no credentials: set access_key and secret_key")
    if name == "SSLError":
        return StorageRefused(f"{what}: its certificate is not trusted, or it speaks no TLS")
    if name in ("ParamValidationError", "InvalidRegionError", "UnknownEndpointError", "InvalidEndpointConfigurationError"):
        return StorageRefused(f"{what}: the settings of the store make no request ({name})")
    if name == "FlexibleChecksumError":
        return StorageConflict(f"{what}: what came is not what was stored: the checksum does not match")
    said = {
        "ConnectTimeoutError": "no answer in time",
        "ReadTimeoutError": "no answer in time",
        "EndpointConnectionError": "no connection",
        "ConnectionClosedError": "the connection was closed",
    }.get(name, name)
    return StorageUnavailable(f"{what}: {said}")


def codeOf(error: BaseException) -> str:
    """@return: the code of an answer, C{""} when it is none or not fit to be seen."""
    response: Any = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    return code if _CODE.fullmatch(code) else ""


def _status(response: dict[str, Any]) -> int:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status if isinstance(status, int) else 0


def _answered(code: str, status: int, what: str) -> StorageError:
    if code in CREDENTIALS:
        return CredentialsRefused(f"{what}: {CREDENTIALS[code]} ({code})")
    if code == TAKEN or status == 412:
        return StorageConflict(f"{what}: the name is taken")
    if code in ("NoSuchKey", "NoSuchVersion", "NoSuchObject") or (status in (404, 405) and code in ABSENT):
        return NotStored(f"{what}: there is no such object ({code or status})")
    if code in REFUSED:
        return StorageRefused(f"{what}: {REFUSED[code]} ({code})")
    if code in DIGEST:
        return StorageUnavailable(f"{what}: the bytes changed on their way ({code})")
    if code in UNAVAILABLE or status >= 500 or status in (0, 408, 409, 429):
        return StorageUnavailable(f"{what}: the store is not well ({code or status})")
    return StorageRefused(f"{what}: the store says no ({code or status})")
