# -*- test-case-name: tests.curator.test_settings -*-
"""
What the curator needs of the configuration, as it travels to it: JSON, with the secrets that the gateway has fetched for it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import attrs
from attrs import Factory, frozen

from hoopx.retention.rules import Rule
from hoopx.values import Reference


@frozen
class Witness:
    """@ivar key: its C2SP vkey."""

    url: str
    key: str


@frozen
class CuratorSettings:
    """
    @ivar data: the data directory, absolute.
    @ivar node: the gateway's name; the ledger's too.
    @ivar index: C{"full"} or C{"metadata"}.
    @ivar indexUrl: C{"sqlite:"} or a database's URL, which is secret.
    @ivar store: C{"file:"} (the data directory alone) or where a copy goes.
    @ivar localKeep: seconds that a stored segment's local copy stays, or C{None}: for ever.
    @ivar s3: the keys of C{[recording.s3]} without its secrets, or C{None}.
    @ivar quorum: witnesses that must have signed.
    @ivar labels: target -> its labels.
    @ivar signingKey: the ledger key, or C{None}: the one under C{data/keys}.
    @ivar since: seconds since the epoch of the curator's start, for the index's process; C{None}: not told.
    @ivar secrets: what else the gateway has fetched: C{s3.access_key}, C{s3.secret_key}.
    """

    data: str
    node: str
    compress: bool = True
    encryptTo: tuple[str, ...] = ()
    index: str = "full"
    indexUrl: str = attrs.field(default="sqlite:", repr=False)
    store: str = "file:"
    localKeep: float | None = None
    s3: Mapping[str, Any] | None = None
    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    rules: tuple[Rule, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = Factory(dict)
    signingKey: bytes | None = attrs.field(default=None, repr=False)
    since: float | None = None
    secrets: dict[str, bytes] = attrs.field(factory=dict, repr=False)

    @property
    def remote(self) -> bool:
        """C{True} when a copy goes somewhere else than the data directory."""
        return self.store not in ("", "file:")


def dump(settings: CuratorSettings) -> bytes:
    """As JSON. It holds secrets: it goes to the curator's input and nowhere else."""
    value = attrs.asdict(settings)
    key = settings.signingKey
    value["signingKey"] = None if key is None else b64encode(key).decode()
    value["secrets"] = {name: b64encode(secret).decode() for name, secret in settings.secrets.items()}
    return json.dumps(value).encode()


def load(text: bytes) -> CuratorSettings:
    """@raise ValueError: not what L{dump} gives (of another version of hoopx, perhaps)."""
    try:
        value = json.loads(text)
        key = value.pop("signingKey")
        value["signingKey"] = None if key is None else b64decode(key)
        value["secrets"] = {name: b64decode(secret) for name, secret in value["secrets"].items()}
        value["encryptTo"] = tuple(value["encryptTo"])
        value["witnesses"] = tuple(Witness(**each) for each in value["witnesses"])
        value["rules"] = tuple(Rule(each["keep"], tuple(each["targets"]), each["labels"]) for each in value["rules"])
        return CuratorSettings(**value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the curator's settings can not be read ({type(error).__name__})") from None


def curatorSettings(settings: Any) -> CuratorSettings:
    """@param settings: L{hoopx.config.settings.Settings}. @return: all but the secrets."""
    recording = settings.recording
    index = recording.index or ("metadata" if recording.encryptTo else "full")
    s3 = recording.s3
    plain = None if s3 is None else {
        each.name: getattr(s3, each.name) for each in attrs.fields(type(s3)) if not isinstance(getattr(s3, each.name), Reference)
    }  # fmt: skip
    witnesses = tuple(Witness(each.url, each.key) for each in recording.witnesses)
    quorum = recording.witnessQuorum
    return CuratorSettings(
        data=str(settings.gateway.data),
        node=settings.gateway.name,
        compress=recording.compress,
        encryptTo=tuple(recording.encryptTo),
        index=index,
        indexUrl=settings.index.url if isinstance(settings.index.url, str) else "",
        store=recording.store,
        localKeep=recording.localKeep,
        s3=plain,
        witnesses=witnesses,
        quorum=len(witnesses) if quorum is None else quorum,
        rules=tuple(Rule(each.keep, tuple(each.targets), dict(each.labels)) for each in settings.retention),
        labels={name: dict(target.labels) for name, target in settings.targets.items() if target.labels},
    )


def secretReferences(settings: Any) -> dict[str, Reference]:
    """@return: name -> reference of every secret the curator needs: C{signing_key}, C{index.url}, C{s3.} and the attribute."""
    found: dict[str, Reference] = {}
    if settings.recording.signingKey is not None:
        found["signing_key"] = settings.recording.signingKey
    if isinstance(settings.index.url, Reference):
        found["index.url"] = settings.index.url
    s3 = settings.recording.s3
    if s3 is not None:
        for each in attrs.fields(type(s3)):
            if isinstance(getattr(s3, each.name), Reference):
                found[f"s3.{each.name}"] = getattr(s3, each.name)
    return found


def withSecrets(settings: CuratorSettings, secrets: Mapping[str, bytes]) -> CuratorSettings:
    """@param secrets: what stands behind L{secretReferences}, by the same names."""
    rest = dict(secrets)
    key = rest.pop("signing_key", None)
    url = rest.pop("index.url", None)
    more: dict[str, Any] = {} if url is None else {"indexUrl": url.decode().strip()}
    return attrs.evolve(settings, signingKey=key, secrets=rest, **more)
