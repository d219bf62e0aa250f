# -*- test-case-name: tests.test_errors -*-
"""
Exceptions that know how to say themselves: to the client, and in the log.
"""

from __future__ import annotations

UNRECORDABLE = "no session can be recorded at the moment"
LATER = "Try again later; the gateway's operator sees why in its status and log."


class HoopxError(Exception):
    """Root of the package's own exceptions."""


class ProtocolViolation(HoopxError):
    """
    A peer sent what its protocol does not allow. Ends the session.

    @ivar units: what a codec had cut whole before it.
    """

    units: list | tuple = ()


class RecordingFailed(HoopxError):
    """A recording can not be continued: its session ends (G2)."""


class Refusal(HoopxError):
    """
    A session is not admitted. The text is for the client; it tells no more than the client may know.

    @ivar code: C{"unauthorized"}, C{"not-found"}, C{"account"}, C{"database"}, C{"unavailable"}, C{"limit"}, C{"denied"},
        C{"tls-required"} or C{"invalid"}; protocols map it to their own (PostgreSQL: SQLSTATE).
    @ivar hint: what to do next.
    @ivar session: the session id, where there is a recording.
    """

    def __init__(self, code: str, message: str, hint: str = "", session: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.session = session


class Unauthorized(Refusal):
    """The proof of identity does not hold. Says the same for every cause."""

    def __init__(self, message: str = "the access token is not valid", hint: str = "") -> None:
        super().__init__("unauthorized", message, hint or "Ask for a new one: hoopx tokens issue.")


class TargetFailed(Refusal):
    """
    The target can not be reached, verified or logged in to. C{message} holds no secret.

    @ivar reason: more of it, for the log alone: what the client need not know.
    """

    def __init__(self, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__("unavailable", message, hint)
        self.reason = reason


def refusalOf(error: BaseException) -> Refusal:
    """@return: what a client is told that is not admitted because of an error."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ProtocolViolation):
        return Refusal("invalid", str(error))
    if isinstance(error, RecordingFailed):
        return Refusal("unrecordable", UNRECORDABLE, LATER)
    return Refusal("internal-error", "a fault in the gateway", "The gateway's operator finds it in the log.")


class ConfigurationError(HoopxError):
    """
    Something in the configuration is wrong.

    @ivar path: the file, as given.
    @ivar line: 1-based, or C{None} where it can not be found.
    @ivar key: dotted key, such as C{targets.orders.tls}.
    @ivar message: what was found, what was expected, what to do.
    """

    def __init__(self, message: str, path: str = "", key: str = "", line: int | None = None) -> None:
        self.message = message
        self.path = path
        self.key = key
        self.line = line
        where = path + (f":{line}" if line else "")
        super().__init__(": ".join(part for part in (where, key, message) if part))


def told(error: BaseException) -> str:
    """@return: an error for people: of one of the operating system what it speaks of and why, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__
