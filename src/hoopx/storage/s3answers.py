# -*- test-case-name: tests.storage.test_s3answers -*-
"""
What S3 answers, read to its end before botocore sees it: botocore keeps all of what comes, however long it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hoopx.storage.errors import StorageUnavailable

LONGEST: Final = 16 << 20
"""Bytes of an answer that is no object. The longest is a page of 1000 versions, whose names have 1 KiB, or six times that in XML."""
PIECE: Final = 1 << 16
OBJECT: Final = range(200, 300)
"""Status of an answer that is what was asked for. When that is an object its bytes stay where they are until somebody reads them."""


class Answers:
    """
    In place of the C{URLLib3Session} of a client.

    @param session: the client's own.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, request: Any) -> Any:
        """@raise StorageUnavailable: the answer does not end."""
        from botocore.exceptions import HTTPClientError

        streamed = request.stream_output
        request.stream_output = True  # else all of it is read in there
        response = self._session.send(request)
        if streamed and response.status_code in OBJECT:
            return response
        data = bytearray()
        try:
            for piece in response.raw.stream(PIECE):
                data += piece
                if len(data) > LONGEST:
                    response.raw.close()
                    raise StorageUnavailable(f"the store's answer has more than {LONGEST} bytes")
        except StorageUnavailable:
            raise
        except Exception as error:  # as the session does with what happens while it reads: it is tried again
            raise HTTPClientError(error=error) from error
        response.raw = _Whole(bytes(data))
        return response

    def close(self) -> None:
        self._session.close()


class _Whole:
    """A body that has come."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> Iterator[bytes]:
        yield self._data


def bound(client: Any) -> Any:
    """@param client: of boto3. @return: the same one, with answers of so many bytes."""
    endpoint = client._endpoint  # there is no other place at which an answer has not been read yet
    endpoint.http_session = Answers(endpoint.http_session)
    return client
