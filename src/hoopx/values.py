# -*- test-case-name: tests.test_errors -*-
"""
The values that cross the seams: attrs slots classes without behaviour.
"""

from __future__ import annotations

from typing import Any, Final, Mapping, NamedTuple, Sequence

from attrs import field, frozen

# In whose direction of speech bytes stand.
CLIENT: Final = 1
TARGET: Final = 2

# What became of bytes.
PASSED: Final = 1
"""Received from that side and forwarded."""
ATTEMPTED: Final = 2
"""Received from that side and not forwarded."""
MADE: Final = 3
"""Made by the gateway in that side's place."""
ORIGINAL: Final = 4
"""Unmasked bytes, sealed to the auditors."""

SIDES: Final[Mapping[int, str]] = {CLIENT: "client", TARGET: "target"}


@frozen
class Token:
    """An access token or password as it was presented; never shown."""

    secret: str = field(repr=False)


@frozen
class Certificate:
    """A client certificate that the TLS layer has verified, as DER."""

    der: bytes = field(repr=False)


@frozen
class Listener:
    """An identity that a listener vouches for (C{identity = "service:x"})."""

    name: str


@frozen
class Claim:
    """
    Who a client says it is and where it wants to go.

    @ivar account: the account asked for, or C{""} for the first allowed one.
    @ivar database: the database asked for, or C{None} for the target's own.
    @ivar proof: a L{Token}, L{Certificate} or L{Listener}.
    @ivar labels: run labels (C{application}, C{traceparent}, ...) for correlation.
    @ivar address: the client's address as C{"host:port"}.
    """

    protocol: str
    target: str
    account: str
    proof: Any
    database: str | None = None
    labels: Mapping[str, str] = {}
    address: str = ""


@frozen
class Identity:
    """
    A verified person, agent or service. The key is (issuer, subject).

    @ivar kind: C{"human"}, C{"agent"} or C{"service"}.
    @ivar actor: who acts on the subject's behalf (RFC 8693 C{act}), or C{None}.
    @ivar auth_time: seconds since the epoch of the login, or C{None}.
    @ivar amr: authentication methods (RFC 8176).
    @ivar credential: id of the credential used, so that its revocation ends the session.
    @ivar expires: when the credential ends its sessions (seconds since the epoch), or C{None}.
    @ivar targets: target patterns the credential is restricted to; C{None} for no restriction.
    """

    issuer: str
    subject: str
    name: str
    groups: tuple[str, ...] = ()
    kind: str = "human"
    actor: str | None = None
    auth_time: float | None = None
    amr: tuple[str, ...] = ()
    claims: Mapping[str, Any] = {}
    credential: str | None = None
    expires: float | None = None
    targets: tuple[str, ...] | None = None


@frozen
class Reference:
    """Where a secret lies: C{scheme} is C{"file"}, C{"env"}, ... Never the secret itself."""

    scheme: str
    name: str


@frozen
class Account:
    """
    One way to log in at a target.

    @ivar secrets: option name -> L{Reference}, fetched at admission.
    @ivar options: the protocol plugin's own account options (an attrs instance).
    """

    name: str
    username: str
    secrets: Mapping[str, Reference] = {}
    options: Any = None


@frozen
class Target:
    """
    A system behind the gateway.

    @ivar endpoint: Twisted client endpoint description.
    @ivar tls: C{"verify"} or C{"off"}.
    @ivar authorities: path of a PEM file that replaces the system's authorities, or C{None}.
    @ivar serverName: the name its certificate must bear, or C{None} for the endpoint's host.
    @ivar accounts: in the order of the configuration; the first is the default.
    @ivar options: the protocol plugin's own target options (an attrs instance).
    """

    name: str
    protocol: str
    endpoint: str
    tls: str = "verify"
    authorities: str | None = None
    serverName: str | None = None
    labels: Mapping[str, str] = {}
    accounts: Mapping[str, Account] = {}
    via: str | None = None
    options: Any = None


@frozen
class Grant:
    """
    Leave to open one session.

    @ivar name: the rule that gave it.
    @ivar account: the account to log in with.
    @ivar database: the database to open, or C{None} where the protocol has none.
    @ivar permit: further permissions, such as C{"opaque"}.
    @ivar maxDuration: seconds, or C{None}.
    @ivar approval: the rule's approval table when a second person must be asked first, else C{None}.
    """

    name: str
    account: Account
    database: str | None = None
    permit: tuple[str, ...] = ()
    maxDuration: float | None = None
    approval: Any = None


@frozen
class Credential:
    """What the target login needs. Lives only until the target login is over."""

    username: str
    secrets: Mapping[str, bytes] = field(repr=False, default={})


class _Constant:
    """A verdict without data: compared with C{is}."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


ALLOW: Final = _Constant("ALLOW")
HOLD: Final = _Constant("HOLD")


@frozen
class Block:
    """
    A refusal of one command.

    @ivar reason: for the client: what and why.
    @ivar guard: the rule, or C{None}.
    @ivar hint: what to do next, or C{None}.
    @ivar cause: C{"policy"}, C{"withdrawn"} (by the client itself) or C{"error"} (the gateway's own).
    """

    reason: str
    guard: str | None = None
    hint: str | None = None
    cause: str = "policy"


def block(reason: str, guard: str | None = None, hint: str | None = None, cause: str = "policy") -> Block:
    """A verdict that refuses a command."""
    return Block(reason, guard, hint, cause)


@frozen
class Approval:
    """A question to a second person about one exact command."""

    id: str
    session: str
    identity: Identity
    target: str
    command: "Command"
    asked: float


@frozen
class Command:
    """
    What a side asked for, in the protocol's own terms.

    @ivar at: seconds since session start.
    @ivar sequence: of the first frame it stands in (C{0} while it is still to be judged).
    @ivar kind: C{"sql"}, C{"opaque"}, ... (see the design's judgement chapter).
    @ivar parameters: decoded values (C{str}, C{None}, or C{"\\x..."} for what can not be decoded).
    @ivar verdict: C{"allow"}, C{"block"}, C{"hold"} once known.
    """

    at: float
    channel: int
    kind: str
    text: str
    parameters: Sequence[str | None] = ()
    verdict: str = "allow"
    guard: str | None = None
    sequence: int = 0
    fields: Mapping[str, Any] = {}


@frozen
class Result:
    """
    What came back for one command.

    @ivar columns: names, or C{None} where none were described.
    @ivar rows: how many.
    @ivar sample: the first rows, decoded like parameters.
    @ivar duration: seconds from command to end of result.
    @ivar error: C{{"code", "message", ...}} or C{None}.
    @ivar fields: C{number} of the command it answers (as in the command's own fields), and what a protocol adds.
    """

    at: float
    channel: int
    columns: Sequence[str] | None
    rows: int
    tag: str | None
    error: Mapping[str, str] | None
    duration: float
    sample: Sequence[Sequence[str | None]] = ()
    sequence: int = 0
    fields: Mapping[str, Any] = {}


@frozen
class Output:
    """Bytes that a person saw or typed, as text. C{stream} is C{"client"}, C{"target"}, C{"stderr"}..."""

    at: float
    channel: int
    stream: str
    text: str
    sequence: int = 0


@frozen
class FileTransfer:
    """A file that went through. C{operation} is C{"read"}, C{"write"}, C{"copy in"}, ..."""

    at: float
    channel: int
    operation: str
    path: str
    bytes: int
    sha256: str | None = None
    sequence: int = 0


@frozen
class Notice:
    """Anything else worth showing: an EVENT of the recording, a notice or notification of the protocol."""

    at: float
    channel: int
    event: str
    fields: Mapping[str, Any] = {}
    sequence: int = 0


class Frame(NamedTuple):
    """
    One frame of a recording (docs/reference/format.rst).

    @ivar at: nanoseconds since session start.
    """

    at: int
    sequence: int
    channel: int
    kind: int
    side: int
    origin: int
    flags: int
    payload: bytes


@frozen
class Receipt:
    """
    What a storage backend answers for one stored object.

    @ivar version: the store's name of it, or C{None} where a name is all.
    @ivar checksum: hex SHA-256 of the object, or C{""} where listing does not tell.
    @ivar retainUntil: seconds since the epoch, or C{None}.
    @ivar size: bytes, or C{None} where it is not told.
    @ivar deleted: this is a delete marker: it hides the versions below, which are all still there.
    @ivar held: under a legal hold.
    """

    name: str
    version: str | None
    checksum: str
    retainUntil: float | None
    size: int | None = None
    deleted: bool = False
    held: bool = False
