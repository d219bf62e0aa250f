"""
What a gateway refuses to start with: everything that it could only pretend to do.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.config import ConfiguredTargets, Settings, load, parse, references, unreadable, unsupported
from hoopx.interfaces import ITargets
from hoopx.plugin import ProtocolRecorder
from hoopx.values import Reference
from tests.tls.certificates import TestAuthority

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"

GUARD = "[[guards]]\nname='g'\naction='block'\nsql={ statements=['DROP'] }\n"
RAW = "[targets.l]\nprotocol='raw'\nendpoint='tcp:a:1'\n"

WITNESS = "w.example+5eda88e9+BDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
AUDITOR = "age162pd8axdkzded2c5hgtr2tx9vt9p4megzu2wkjdvkmpvpsauzuvs4ae6y0"

REFUSED = [
    (GUARD, "guards[0]"),
    ("[[masks]]\nname='m'\ncolumns=['*.ssn']\n", "masks[0]"),
    ("[[alerts]]\nwebhook={ url='https://a' }\n", "alerts[0]"),
    ("[detect]\n", "detect"),
    ("[api]\nadmins=['a']\n", "api"),
    ("[identity.oidc.a]\nissuer='i'\naudiences=['a']\n", "identity.oidc.a"),
    ("[identity.saml.a]\nmetadata='m'\nentity_id='e'\n", "identity.saml.a"),
    ("[secrets.vault]\naddress='https://v'\n", "secrets.vault"),
    ("[recording]\nstore='tape:b/p'\n", "recording.store"),
    ("[recording]\nwitness_quorum=1\n", "recording.witness_quorum"),
    ("[recording]\nlocal_keep='7d'\n", "recording.local_keep"),
    ("[[recording.witnesses]]\nurl='u'\nkey='k'\n", "recording.witnesses[0].key"),
    (f"[[recording.witnesses]]\nurl='u'\nkey='{WITNESS}'\n" * 2, "recording.witnesses[1].key"),
    ("[[listeners]]\nprotocol='postgrs'\nendpoint='tcp:1'\n", "listeners[0].protocol"),
    (RAW + "via='b'\n", "targets.l.via"),
    (RAW.replace("raw", "ssh"), "targets.l.protocol"),
    ("[[grants]]\nname='g'\nusers=['*']\ntargets=['*']\nmfa='15m'\n", "grants[0].mfa"),
    ("[[grants]]\nname='g'\nusers=['*']\ntargets=['*']\napproval={ by=['a'] }\n", "grants[0].approval"),
]

ALLOWED = """\
[gateway]
name = "gw1"
[tls]
certificate = "c.pem"
[[listeners]]
protocol = "postgres"
endpoint = "tcp:15432"
require_tls = true
proxy_protocol = ["10.0.0.0/8"]
[[listeners]]
protocol = "raw"
endpoint = "tcp:9000"
target = "legacy"
identity = "service:batch"
tls = true
[identity.tokens]
max_age = "1h"
[targets.orders]
protocol = "postgres"
endpoint = "tcp:db:5432"
database = "orders"
allow_md5 = true
authorities = "ca.pem"
labels = { env = "prod" }
[targets.orders.accounts.app]
username = "a"
password = { env = "HOOPX_TEST_APP" }
[targets.orders.accounts.b]
password = { file = "b" }
[targets.legacy]
protocol = "raw"
endpoint = "tcp:legacy:1"
[[grants]]
name = "g"
groups = ["a"]
labels = { env = "prod" }
max_duration = "4h"
permit = ["opaque"]
[recording]
durability = "synced"
segment = { size = "2MiB", age = "5s" }
compress = false
index = "full"
[state]
url = "sqlite:"
"""


class UnsupportedTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """Each of them alone keeps the gateway from starting, and says where it stands."""
        for text, key in REFUSED:
            found = unsupported(parse(text, "/x.toml"))
            self.assertEqual([error.key for error in found], [key], text)
            self.assertTrue(found[0].line)

    def test_allowed(self) -> None:
        self.assertEqual(unsupported(parse(ALLOWED, "/x.toml")), [])
        self.assertEqual(unsupported(parse("", "/x.toml")), [])

    def test_stores(self) -> None:
        """State and index in a database of one's own."""
        self.assertEqual(unsupported(parse("[state]\nurl={ file='u' }\n[index]\nurl={ env='U' }\n", "/x.toml")), [])

    def test_auditors(self) -> None:
        """A key that is none is told with its place, and a secret one is not repeated."""
        secret = "AGE-SECRET-KEY-1QQPQYQ"
        for text, line, said in [
            (f"[recording]\nencrypt_to = [\n  '{AUDITOR}',\n  'age1x',\n]\n", 4, "expected an age public key"),
            (f"[recording]\nencrypt_to = [\n  '{AUDITOR}',\n  '{secret}',\n]\n", 4, "secret key"),
        ]:
            found = {error.key: error for error in unsupported(parse(text, "/x.toml"))}
            error = found["recording.encrypt_to[1]"]
            self.assertEqual(error.line, line)
            self.assertIn(said, error.message)
            self.assertNotIn(secret, str(error))
            self.assertNotIn("recording.encrypt_to[0]", found)

    def test_originals(self) -> None:
        """Sealed to nobody they would be lost."""
        (error,) = unsupported(parse("[recording]\noriginal='sealed'\n", "/x.toml"))
        self.assertEqual((error.key, error.line), ("recording.original", 2))
        self.assertIn("add encrypt_to", error.message)
        self.assertEqual(unsupported(parse(f"[recording]\noriginal='sealed'\nencrypt_to=['{AUDITOR}']\n", "/x.toml")), [])

    def test_store(self) -> None:
        """A store that can not be: what is expected in its place."""
        for store, said in (("ftp:x", '"file:"'), ("s3:", "a bucket"), ("file:relative", "whole path")):
            errors = [each for each in unsupported(parse(f"[recording]\nstore = '{store}'\n", "/x.toml")) if each.key == "recording.store"]
            self.assertTrue(any(said in error.message for error in errors), store)
            self.assertEqual({error.line for error in errors}, {2})

    def test_storeInData(self) -> None:
        """What is stored and what is here would be taken for each other, or be the same file, which local_keep then removes."""
        data = os.path.abspath(self.mktemp())
        os.makedirs(data)
        os.symlink(data, f"{data}-link")
        for folder, refused in (
            (data, True), (f"{data}/", True), (f"{data}/recordings", True), (f"{data}-link/x", True), (f"{data}-more", False),
            (os.path.dirname(data), False),
        ):  # fmt: skip
            found = unsupported(parse(f"[gateway]\ndata='{data}'\n[recording]\nstore='file:{folder}'\n", "/x.toml"))
            self.assertEqual([(error.key, error.line) for error in found], [("recording.store", 4)] if refused else [], folder)
            self.assertTrue(all("lies in the data folder" in error.message for error in found))

    def test_vault(self) -> None:
        """A kind of secret that nobody can fetch is refused before somebody waits for it."""
        text = ALLOWED.replace('{ file = "b" }', '{ vault = "a#b" }')
        (error,) = unsupported(parse(text, "/x.toml"))
        self.assertEqual(error.key, "targets.orders.accounts.b.password")
        self.assertIn("file", error.message)
        self.assertEqual(unsupported(parse(text, "/x.toml"), schemes=("file", "env", "vault")), [])

    def test_missingProtocol(self) -> None:
        (error,) = unsupported(parse("[[listeners]]\nprotocol='postgrs'\nendpoint='tcp:1'\n", "/x.toml"))
        self.assertIn('protocol "postgrs" is not installed; did you mean "postgres"?', error.message)

    def test_brokenProtocol(self) -> None:
        """Code that can not be loaded is found at the start, not by the first client."""
        broken = ProtocolRecorder("broken", "", conversation="acme_nowhere.Conversation", view="")
        text = "[[listeners]]\nprotocol='broken'\nendpoint='tcp:1'\n"
        (error,) = unsupported(parse(text, "/x.toml", {"broken": broken}), {"broken": broken})
        self.assertEqual(error.key, "listeners[0].protocol")
        self.assertIn('protocol "broken" can not be loaded: ', error.message)

    def test_everySectionIsConsidered(self) -> None:
        """A new section of the settings has to be judged here, too."""
        kept = {
            "gateway",
            "tls",
            "listeners",
            "targets",
            "grants",
            "identity",
            "recording",
            "retention",
            "state",
            "index",
            "secrets",
            "metrics",
            "path",
            "lines",
        }
        refused = {"guards", "masks", "alerts", "api", "detect"}
        self.assertEqual({each.name for each in attrs.fields(Settings)}, kept | refused)

    def test_referenceFile(self) -> None:
        """The complete example asks for much of what is not there."""
        keys = {error.key for error in unsupported(load(DOCS / "hoopx.reference.toml"))}
        self.assertTrue({"guards[0]", "masks[0]", "recording.encrypt_to[0]", "grants[0].mfa", "listeners[1].protocol"} <= keys)


class UnreadableTests(SynchronousTestCase):
    def test_files(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        read = parse(ALLOWED, str(folder / "x.toml"))
        found = {error.key: error.message for error in unreadable(read, {})}
        self.assertEqual(
            sorted(found),
            [
                "targets.orders.accounts.app.password",
                "targets.orders.accounts.b.password",
                "targets.orders.authorities",
                "tls.certificate",
            ],
        )
        self.assertIn("HOOPX_TEST_APP is not set", found["targets.orders.accounts.app.password"])
        self.assertIn("No such file", found["tls.certificate"])
        for name in ("c.pem", "ca.pem", "b"):
            (folder / name).write_text("x")
        self.assertEqual(unreadable(read, {"HOOPX_TEST_APP": "x"}), [])

    def test_certificates(self) -> None:
        """A pair that does not fit together is found before anybody logs in with it."""
        authority = TestAuthority(self.mktemp())
        (one, key), (other, _) = authority.issue(file="one"), authority.issue(file="other")
        for certificate, more, found in [
            (one, f'private_key = {{ file = "{key}" }}', []),
            (other, f'private_key = {{ file = "{key}" }}', ["its private key belongs to another certificate"]),
            (one, "", ["certificate or private key are no usable PEM"]),
            (one, 'private_key = { env = "KEY" }', []),
            (one + ".gone", "", ["No such file or directory"]),
        ]:
            text = "[targets.o]\nprotocol='postgres'\nendpoint='tcp:db:1'\n[targets.o.accounts.a]\n"
            text += f'certificate = {{ file = "{certificate}" }}\n{more}\n'
            errors = unreadable(parse(text, os.path.abspath("x.toml")), {"KEY": "x"})
            self.assertEqual([error.message.rpartition(": ")[2].partition(" (")[0] for error in errors], found, text)
            self.assertEqual({error.key for error in errors}, {"targets.o.accounts.a.certificate"} if found else set())

    def test_whatToDo(self) -> None:
        """A secret that is not there yet is what everybody meets first."""
        text = "[targets.o]\nprotocol='postgres'\nendpoint='tcp:db:1'\n[targets.o.accounts.a]\nusername='a'\npassword={{ {} }}\n"
        for reference, todo in (("file='gone'", "put the secret alone into it"), ("env='GONE'", "set it where hoopx runs")):
            (error,) = unreadable(parse(text.format(reference), os.path.abspath("x.toml")), {})
            self.assertIn(todo, error.message)

    def test_references(self) -> None:
        found = dict(references(parse(ALLOWED, "/x.toml")))
        self.assertEqual(
            found,
            {
                ("targets", "orders", "accounts", "app", "password"): Reference("env", "HOOPX_TEST_APP"),
                ("targets", "orders", "accounts", "b", "password"): Reference("file", "/b"),
            },
        )


class TargetsTests(SynchronousTestCase):
    def test_lookUp(self) -> None:
        targets = ConfiguredTargets(parse(ALLOWED, "/x.toml").targets)
        verifyObject(ITargets, targets)
        self.assertEqual(targets.get("orders").name, "orders")
        self.assertIdentical(targets.get("order"), None)
        self.assertEqual(list(targets.names()), ["orders", "legacy"])
