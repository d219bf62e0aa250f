"""
docs/reference/configuration.rst says what the settings classes say: every key, its type, its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hoopx.config import settings as known
from hoopx.config.amounts import DURATIONS, SIZES
from hoopx.config.shape import keys
from hoopx.protocols.postgres.options import TargetOptions
from hoopx.values import Reference
from tests.config.test_unsupported import REFUSED

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "configuration.rst"

SECTIONS: dict[str, tuple[str, list[type]]] = {
    "gateway": ("[gateway]", [known.GatewaySettings]),
    "tls": ("[tls]", [known.TlsSettings]),
    "listeners": ("[[listeners]]", [known.ListenerSettings]),
    "identity.tokens": ("[identity.tokens]", [known.TokensSettings]),
    "targets.X": ("[targets.X]", [known.TargetSettings, TargetOptions]),
    "targets.X.accounts.Y": ("[targets.X.accounts.Y]", [known.AccountSettings]),
    "grants": ("[[grants]]", [known.GrantSettings]),
    "recording": ("[recording]", [known.RecordingSettings]),
    "recording.witnesses": ("[[recording.witnesses]]", [known.WitnessSettings]),
    "recording.s3": ("[recording.s3]", [known.S3Settings]),
    "retention": ("[[retention]]", [known.RetentionSettings]),
    "state": ("[state]", [known.StoreSettings]),
    "metrics": ("[metrics]", [known.MetricsSettings]),
    "index": ("[index]", [known.StoreSettings]),
}

PLAIN = {
    str: "text",
    bool: "true or false",
    int: "number",
    known.Name: "text",
    known.Duration: "duration",
    known.Size: "size",
    known.FilePath: "path",
    known.Endpoint: "endpoint",
    known.Network: "network",
    Reference: "reference",
}


def typeOf(kind: type, name: str) -> str:
    """A type in the page's words."""
    attrs.resolve_types(kind)
    return " or ".join(_said(getattr(attrs.fields(kind), name).type))


def _said(kind: Any) -> Iterator[str]:
    if kind in PLAIN:
        yield PLAIN[kind]
    elif get_origin(kind) is Literal:
        yield ", ".join(f'``"{choice}"``' for choice in get_args(kind))
    elif get_origin(kind) is tuple:
        yield "list of " + {"text": "texts", "network": "networks"}.get(next(_said(get_args(kind)[0])), "tables")
    elif get_origin(kind) and "Mapping" in str(get_origin(kind)):
        yield "table of texts"
    elif attrs.has(kind) if isinstance(kind, type) else False:
        yield "table"
    else:
        for inner in get_args(kind):
            if inner is not type(None):
                yield from _said(inner)


def defaultOf(kind: type, name: str) -> str:
    """A default in the page's words."""
    attrs.resolve_types(kind)
    attribute = getattr(attrs.fields(kind), name)
    default = attribute.default
    if default is attrs.NOTHING:
        return "*required*"
    if isinstance(default, bool):
        return f"``{str(default).lower()}``"
    if default is None or default == () or default == {} or default == "" or attrs.has(type(default)):
        return "``{}``" if attrs.has(type(default)) else "none"
    if attribute.type in (known.Duration, known.Size):
        units = DURATIONS if attribute.type is known.Duration else {key: SIZES[key] for key in ("KiB", "MiB")}
        unit = max((each for each in units if not default % units[each]), key=lambda each: units[each])
        return f'``"{default / units[unit]:g}{unit}"``'
    return f"``{default}``" if isinstance(default, int) else f'``"{default}"``'


class DocumentedTests(SynchronousTestCase):
    def test_page(self) -> None:
        text = PAGE.read_text()
        parts = re.split(r"^``(\[.*\])``\n-+\n", text, flags=re.MULTILINE)
        pages = dict(zip(parts[1::2], parts[2::2]))
        self.assertEqual(list(pages), [title for title, _ in SECTIONS.values()])
        for title, classes in SECTIONS.values():
            rows = re.findall(r"^   \* - ``(\w+)``\n     - (.*)\n     - (.*)\n     - (.+)\n", pages[title], flags=re.MULTILINE)
            self.assertEqual(
                [row[:3] for row in rows],
                [(key, typeOf(kind, name), defaultOf(kind, name)) for kind in classes for key, name in keys(kind).items()],
            )

    def test_everySection(self) -> None:
        """Every table of the file is on the page: with its keys, or among those that are to come."""
        text = PAGE.read_text()
        for key in keys(known.Settings):
            self.assertRegex(text, rf"\[{key}[.\]]")

    def test_later(self) -> None:
        """What the page says is to come is what a gateway refuses to start with, and nothing else is."""
        text = PAGE.read_text()
        parts = re.split(r"^``(\[.*\])``\n-+\n", text, flags=re.MULTILINE)
        marked = {
            f"{title.strip('[]')}.{key}"
            for title, page in zip(parts[1::2], parts[2::2])
            for key in re.findall(r"^   \* - ``(\w+)``\n     - .*\n     - .*\n     - .*\*[Ll]ater\.\*", page, flags=re.MULTILINE)
        }
        self.assertEqual(marked, {"targets.X.via", "grants.mfa", "grants.approval"})
        tables = re.findall(r"``\[+([\w.*]+)\]+``", parts[0].partition("So it is with the tables")[2])
        refused = {place.partition("[")[0].removesuffix(".a") for _, place in REFUSED}
        self.assertLessEqual({table.removesuffix(".*") for table in tables}, refused)
        self.assertFalse({"retention", "recording.s3", "metrics"} & {table.removesuffix(".*") for table in tables})
        self.assertLessEqual({name.replace(".X", ".l") for name in marked}, refused | {"grants.mfa", "grants.approval"})
