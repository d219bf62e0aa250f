# -*- test-case-name: tests.config.test_loader -*-
"""
What a configuration file says, as values. The comment lines of docs/reference/configuration.rst are kept equal to these classes.

An attribute is a key: C{idleTimeout} is C{idle_timeout}. Durations are seconds, sizes bytes, paths absolute.
"""

from __future__ import annotations

from typing import Any, Literal, Mapping, NewType

from attrs import Factory, field, frozen

from hoopx.values import Reference, Target

Duration = NewType("Duration", float)
"""Seconds; C{"30m"} in the file."""
Size = NewType("Size", int)
"""Bytes; C{"1MiB"} in the file."""
FilePath = NewType("FilePath", str)
"""Absolute; relative to the configuration in the file."""
Name = NewType("Name", str)
"""A word that can stand in a connection string: letters, digits, dot, dash, underscore."""
Endpoint = NewType("Endpoint", str)
"""Twisted endpoint description."""
Network = NewType("Network", str)
"""Such as C{10.0.0.0/8}."""

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MIB = 1024 * 1024
NO_LABELS: Mapping[str, str] = {}


@frozen
class GatewaySettings:
    name: Name = Name("hoopx")
    data: FilePath = FilePath("data")
    loginTimeout: Duration = Duration(10.0)
    idleTimeout: Duration = Duration(30 * MINUTE)
    maxDuration: Duration = Duration(12 * HOUR)
    maxSessions: int = 10000
    diskReserve: Size = Size(64 * MIB)
    diskRefuseBelow: Size = Size(256 * MIB)


@frozen
class TlsSettings:
    """
    @ivar privateKey: C{None} when it is in the certificate's file.
    """

    certificate: FilePath
    privateKey: FilePath | None = None
    clientAuthorities: FilePath | None = None


@frozen
class ListenerSettings:
    """
    @ivar requireTLS: C{None} for the default: yes, except on loopback (judged from the socket).
    @ivar proxyProtocol: networks whose PROXY header is believed.
    @ivar tls: TLS from the first byte.
    @ivar target: the target the listener is pinned to, or C{None}.
    @ivar identity: C{"service:x"} that the listener vouches for, or C{None}.
    """

    protocol: str
    endpoint: Endpoint
    requireTLS: bool | None = None
    proxyProtocol: tuple[Network, ...] = ()
    tls: bool = False
    target: str | None = None
    identity: str | None = None


@frozen
class TokensSettings:
    maxAge: Duration = Duration(8 * HOUR)


@frozen
class OidcSettings:
    issuer: str
    audiences: tuple[str, ...]
    clientId: str | None = None
    clientSecret: Reference | None = None
    userClaim: str = "sub"
    groupsClaim: str | None = None
    users: tuple[str, ...] = ()
    mayAssertGroups: tuple[str, ...] = ()
    endOnExpiry: bool = False
    kindClaim: str | None = None
    kind: Literal["human", "agent", "service"] | None = None
    groups: tuple[str, ...] = ()


@frozen
class SamlSettings:
    metadata: FilePath
    entityId: str
    userAttribute: str = "email"
    groupsAttribute: str | None = None


@frozen
class IdentitySettings:
    tokens: TokensSettings = TokensSettings()
    oidc: Mapping[str, OidcSettings] = Factory(dict)
    saml: Mapping[str, SamlSettings] = Factory(dict)


@frozen
class TargetSettings:
    """The keys of C{[targets.X]} that every protocol has; the file's targets become L{hoopx.values.Target}."""

    protocol: str
    endpoint: Endpoint
    tls: Literal["verify", "off"] = "verify"
    authorities: FilePath | None = None
    serverName: str | None = None
    labels: Mapping[str, str] = NO_LABELS
    via: str | None = None


@frozen
class AccountSettings:
    """The keys of C{[targets.X.accounts.Y]} that every protocol has. C{username}: the account's own name by default."""

    username: str | None = None


@frozen
class ApprovalSettings:
    by: tuple[str, ...]
    count: int = 1
    within: Duration = Duration(15 * MINUTE)


@frozen
class GrantSettings:
    """
    Who may open a session to what. Who: in one of the groups or one of the users, and of one of the kinds.

    @ivar targets: names and C{*} patterns.
    @ivar accounts: C{()} for the target's default account.
    @ivar databases: C{()} for the target's own database.
    @ivar mfa: how long ago a second factor may have been seen, or C{None}.
    """

    name: str
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    kinds: tuple[Literal["human", "agent", "service"], ...] = ()
    targets: tuple[str, ...] = ()
    labels: Mapping[str, str] = NO_LABELS
    accounts: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    permit: tuple[str, ...] = ()
    maxDuration: Duration | None = None
    mfa: Duration | None = None
    approval: ApprovalSettings | None = None


@frozen
class GuardSettings:
    """
    What a session may not do. One table per kind of command says what matches; kinds of plugins come in C{more}.
    """

    name: str
    action: Literal["block", "hold", "alert"]
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    kinds: tuple[Literal["human", "agent", "service"], ...] = ()
    exceptGroups: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    labels: Mapping[str, str] = NO_LABELS
    hours: str | None = None
    strict: bool = True
    message: str | None = None
    approval: ApprovalSettings | None = None
    sql: Mapping[str, Any] | None = None
    shell: Mapping[str, Any] | None = None
    file: Mapping[str, Any] | None = None
    forward: Mapping[str, Any] | None = None
    http: Mapping[str, Any] | None = None
    kubernetes: Mapping[str, Any] | None = None
    opaque: Mapping[str, Any] | None = None


@frozen
class MaskSettings:
    name: str
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    kinds: tuple[Literal["human", "agent", "service"], ...] = ()
    exceptGroups: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    labels: Mapping[str, str] = NO_LABELS
    columns: tuple[str, ...] = ()
    detect: tuple[str, ...] = ()
    method: Literal["redact", "partial", "hash", "null", "fixed"] = "redact"
    key: Reference | None = None
    strict: bool = True


@frozen
class SegmentSettings:
    size: Size = Size(MIB)
    age: Duration = Duration(10.0)


@frozen
class WitnessSettings:
    url: str
    key: str


@frozen
class S3Settings:
    endpoint: str | None = None
    region: str | None = None
    accessKey: Reference | None = None
    secretKey: Reference | None = None
    sessionToken: Reference | None = None
    objectLock: Literal["COMPLIANCE", "GOVERNANCE", "none"] = "COMPLIANCE"


@frozen
class RecordingSettings:
    store: str = "file:"
    durability: Literal["written", "synced"] = "written"
    segment: SegmentSettings = SegmentSettings()
    compress: bool = True
    encryptTo: tuple[str, ...] = ()
    original: Literal["none", "sealed"] = "none"
    index: Literal["full", "metadata"] | None = None
    localKeep: Duration | None = None
    signingKey: Reference | None = None
    witnessQuorum: int | None = None
    witnesses: tuple[WitnessSettings, ...] = ()
    s3: S3Settings | None = None

    @property
    def remote(self) -> bool:
        """A copy goes somewhere else than the data directory."""
        return self.store not in ("", "file:")

    @property
    def fullIndex(self) -> bool:
        """What was said goes into the index; else only who was where and when."""
        return self.index == "full" or (self.index is None and not self.encryptTo)

    @property
    def segmentSize(self) -> int:
        """Bytes."""
        return self.segment.size

    @property
    def segmentAge(self) -> float:
        """Seconds."""
        return self.segment.age


@frozen
class RetentionSettings:
    keep: Duration
    targets: tuple[str, ...] = ()
    labels: Mapping[str, str] = NO_LABELS


@frozen
class StoreSettings:
    """
    @ivar url: C{"sqlite:"} is a file in the data directory; others are secret, hence references.
    """

    url: str | Reference = "sqlite:"


@frozen
class VaultSettings:
    address: str
    auth: Mapping[str, Any] = Factory(dict)


@frozen
class SecretsSettings:
    vault: VaultSettings | None = None


@frozen
class MetricsSettings:
    endpoint: Endpoint


@frozen
class ApiSettings:
    admins: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()


@frozen
class WebhookSettings:
    url: str
    secret: Reference | None = None


@frozen
class AlertSettings:
    webhook: WebhookSettings
    on: tuple[str, ...] = ()


@frozen
class DetectSettings:
    learn: Duration = Duration(14 * DAY)
    onAlarm: Literal["alert", "hold", "end"] = "alert"


DEFAULT_LISTENERS = (ListenerSettings("postgres", Endpoint("tcp:15432:interface=127.0.0.1")),)


@frozen
class Settings:
    """
    One configuration file.

    @ivar tls: towards clients; C{None} for an authority of our own.
    @ivar targets: name -> L{hoopx.values.Target}.
    @ivar metrics: C{None} without the table, likewise C{api} and C{detect}.
    @ivar path: the file, absolute.
    @ivar lines: path of keys -> 1-based line (L{hoopx.config.lines.locate}).
    """

    gateway: GatewaySettings = GatewaySettings()
    tls: TlsSettings | None = None
    listeners: tuple[ListenerSettings, ...] = DEFAULT_LISTENERS
    identity: IdentitySettings = IdentitySettings()
    targets: Mapping[str, Target] = Factory(dict)
    grants: tuple[GrantSettings, ...] = ()
    guards: tuple[GuardSettings, ...] = ()
    masks: tuple[MaskSettings, ...] = ()
    recording: RecordingSettings = RecordingSettings()
    retention: tuple[RetentionSettings, ...] = ()
    state: StoreSettings = StoreSettings()
    index: StoreSettings = StoreSettings()
    secrets: SecretsSettings = SecretsSettings()
    metrics: MetricsSettings | None = None
    api: ApiSettings | None = None
    alerts: tuple[AlertSettings, ...] = ()
    detect: DetectSettings | None = None
    path: str = field(default="", metadata={"key": None})
    lines: Mapping[Any, int] = field(factory=dict, repr=False, eq=False, metadata={"key": None})
