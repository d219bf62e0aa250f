# -*- test-case-name: tests.api.test_socket -*-
"""
Asks the running gateway, from a command line.
"""

from __future__ import annotations

import json
import os
import socket
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final, Iterator
from urllib.parse import quote

from hoopx.api.address import SOCKET, reachable
from hoopx.errors import HoopxError

# A gateway answers in milliseconds; one that reloads or waits for its disk, in seconds.
TIMEOUT: Final = 30.0


class NoGateway(HoopxError):
    """No gateway runs on the data directory."""

    def __init__(self, data: Path, config: str) -> None:
        super().__init__(f"no gateway runs on {data}")
        self.hint = f"Start it with: twistd -n hoopx --config {config}"


class Refused(HoopxError):
    """
    The gateway said no.

    @ivar status: HTTP status.
    @ivar errors: each single one, where there are several.
    """

    def __init__(self, status: int, message: str, errors: list[str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.errors = errors or []


class Client:
    """
    The control socket of a data directory.

    @param config: name of the configuration file, for the error that says how to start the gateway.
    """

    def __init__(self, data: Path, config: str = "hoopx.toml") -> None:
        self._data = data
        self._config = config

    def runs(self) -> bool:
        """@return: C{True} when a gateway listens. @raise Refused: (403) it is somebody else's."""
        connection = _UnixConnection(self._data / SOCKET)
        try:
            connection.connect()
        except PermissionError:
            raise self._foreign() from None
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "/status")

    def sessions(self) -> list[dict[str, Any]]:
        return self._ask("GET", "/sessions")

    def kill(self, session: str, reason: str = "") -> None:
        """@raise Refused: (404) there is no such live session."""
        self._ask("POST", f"/sessions/{quote(session, safe='')}/kill", {"reason": reason})

    def tail(self, session: str) -> Iterator[str]:
        """
        @return: JSON objects, one a line, until the session ends.
        @raise Refused: (404) there is no such live session; or the gateway went away.
        """
        connection, response = self._send("GET", f"/sessions/{quote(session, safe='')}/tail", None)
        try:
            connection.sock.settimeout(None)  # sessions may be silent for long
            rest = b""
            while read := response.read1(65536):  # iterating would take a broken stream for a finished one
                *whole, rest = (rest + read).split(b"\n")
                for line in whole:
                    yield line.decode("utf-8")
        except (OSError, HTTPException):
            raise Refused(0, "the gateway went away") from None
        finally:
            response.close()
            connection.close()

    def reload(self) -> list[str]:
        """@return: what the gateway has to say. @raise Refused: (409) the configuration is wrong."""
        messages: list[str] = self._ask("POST", "/reload")["messages"]
        return messages

    def retention(self, dry: bool = False, confirm: bool = False) -> list[dict[str, Any]]:
        """@raise Refused: (409) nothing can be erased: the clock, or the curator."""
        asked = {"mode": "dry-run" if dry else "run", "clock": "right" if confirm else None}
        found: list[dict[str, Any]] = self._ask("POST", "/retention", asked)
        return found

    def issue(self, **token: Any) -> tuple[str, str]:
        """@param token: see L{hoopx.identity.tokens.Tokens.issue}. @return: C{(token, id)}"""
        made = self._ask("POST", "/tokens", token)
        return made["token"], made["id"]

    def tokens(self) -> list[dict[str, Any]]:
        """@return: see L{hoopx.identity.tokens.Tokens.issued}."""
        return self._ask("GET", "/tokens")

    def revoke(self, id: str | None = None, user: str | None = None) -> list[str]:
        """@return: ids of the tokens revoked now."""
        revoked: list[str] = self._ask("POST", "/tokens/revoke", {"id": id, "user": user})["revoked"]
        return revoked

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection, response = self._send(method, path, body)
        try:
            return json.loads(response.read())
        except (OSError, ValueError, HTTPException):
            raise Refused(0, "the gateway's answer broke off: its log may say why") from None
        finally:
            connection.close()

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[HTTPConnection, HTTPResponse]:
        connection = _UnixConnection(self._data / SOCKET)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            raise NoGateway(self._data, self._config) from None
        except PermissionError:
            connection.close()
            raise self._foreign() from None
        except (OSError, HTTPException) as error:
            connection.close()
            raise Refused(0, f"the gateway on {self._data} does not answer: {error}") from None
        if response.status >= 400:
            with response:
                said = _json(response.read())
            connection.close()
            raise Refused(response.status, str(said.get("error") or response.reason), said.get("errors"))
        return connection, response

    def _foreign(self) -> Refused:
        return Refused(403, f"{self._data / SOCKET} is for the gateway's own user: run this command as that user, or as root")


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        folder, path = reachable(self._path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(path)
        finally:
            if folder is not None:
                os.close(folder)


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
