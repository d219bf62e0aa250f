"""What the start would refuse in the files that a configuration names."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from hoopx.config import parse
from hoopx.config.contents import unusable
from hoopx.ledger.keys import publicBytes, publish
from hoopx.recording.files import Files
from hoopx.state.store import Store
from tests.tls.certificates import TestAuthority


def pem(key, encryption=None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


class ContentsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.data = self.folder / "data"

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
        return str(path)

    def found(self, text: str, **environ: str) -> list[tuple[str, str]]:
        settings = parse(f"[gateway]\ndata = '{self.data}'\n{text}", str(self.folder / "hoopx.toml"))
        return [(error.key, error.message) for error in unusable(settings, environ)]

    def assertFound(self, text: str, key: str, *words: str, **environ: str) -> None:
        found = self.found(text, **environ)
        self.assertEqual([each[0] for each in found], [key], found)
        for each in words:
            self.assertIn(each, found[0][1])
        self.assertNotIn("hunter2", found[0][1])

    def test_nothing(self) -> None:
        self.assertEqual(self.found(""), [])
        self.assertFalse(self.data.exists())

    def test_signingKey(self) -> None:
        text = "[recording]\nsigning_key = { file = 'key' }\n"
        self.assertEqual(self.found(text), [])  # that it is not there is told by another
        for content, said in (
            (b"nonsense", "no private key in PEM"),
            (b"\n", "it is empty"),
            (pem(generate_private_key(SECP256R1())), "not an Ed25519 key"),
            (pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"hunter2")), "without a password"),
        ):
            self.file("key", content)
            self.assertFound(text, "recording.signing_key", said)
        key = Ed25519PrivateKey.generate()
        self.file("key", pem(key))
        self.assertEqual(self.found(text), [])
        self.assertEqual(self.found(text.replace("file = 'key'", "env = 'KEY'"), KEY=pem(key).decode()), [])
        self.assertFound(text.replace("file = 'key'", "env = 'KEY'"), "recording.signing_key", "no private key", KEY="nonsense")
        publish(str(self.data / "keys"), Files(), publicBytes(key))
        self.assertEqual(self.found(text), [])
        self.file("key", pem(Ed25519PrivateKey.generate()))
        self.assertFound(text, "recording.signing_key", "another key signs the ledger", "hoopx ledger rotate")

    def test_ownKey(self) -> None:
        self.file("data/keys/ledger.key", b"nonsense")
        self.assertFound("", "gateway.data", "ledger.key: no private key in PEM")
        os.remove(self.data / "keys" / "ledger.key")
        self.assertEqual(self.found(""), [])
        self.file("data/ledger/checkpoint", b"")
        self.assertFound("", "gateway.data", "is not there: restore it")

    def test_storeCredentials(self) -> None:
        text = "[recording]\nstore='s3:bucket'\n[recording.s3]\naccess_key={ file='access' }\nsecret_key={ file='secret' }\n"
        self.file("access", b"AKIA")
        self.file("secret", b"")
        self.assertFound(text, "recording.s3.secret_key", "it is empty", "put the secret itself")
        self.file("secret", b"hunter2" * 100_000)
        self.assertFound(text, "recording.s3.secret_key", "longer than")
        self.file("secret", b"hunter2")
        self.assertEqual(self.found(text), [])

    def test_databases(self) -> None:
        for name in ("state", "index"):
            text = f"[{name}]\nurl = {{ file = 'url' }}\n"
            for content in (b"nonsense hunter2", b"mysql://a:hunter2@b/c", b"postgresql://a:hunter2@b", b"\xff\xfe"):
                self.file("url", content)
                self.assertFound(text, f"{name}.url", "postgresql://user:password@host/database")
            self.file("url", b"postgresql://a:hunter2@b/c\n")
            self.assertEqual(self.found(text), [])
            # It stays in the environment: the start reads it there.
            self.assertEqual(self.found(text.replace("file = 'url'", "env = 'URL'"), URL="postgresql://a:hunter2@b/c"), [])

    def test_tls(self) -> None:
        text = "[tls]\ncertificate = 'c.pem'\nprivate_key = 'k.pem'\n"
        authority = TestAuthority(str(self.folder / "tls"))
        certificate, key = authority.issue("gw1")
        self.file("c.pem", Path(certificate).read_bytes())
        self.assertEqual(self.found(text), [])  # the key is not there: told by another
        self.file("k.pem", b"nonsense")
        self.assertFound(text, "tls.certificate", "not a usable PEM file")
        self.file("k.pem", Path(authority.issue("other", file="other")[1]).read_bytes())
        self.assertFound(text, "tls.certificate", "the key belongs to another certificate")
        self.file("k.pem", Path(key).read_bytes())
        self.assertEqual(self.found(text), [])
        self.file("ca.pem", b"nonsense")
        self.assertFound(text + "client_authorities = 'ca.pem'\n", "tls.client_authorities", "ca.pem")

    def test_state(self) -> None:
        """A store that is damaged, or of a newer version; nothing is written beside it."""
        Store.open("sqlite:", self.data).close()
        self.assertEqual(self.found(""), [])
        database = sqlite3.connect(self.data / "state.sqlite")
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
        database.close()
        names = sorted(os.listdir(self.data))
        self.assertFound("", "state.url", "newer than this version")
        self.assertEqual(sorted(os.listdir(self.data)), names)
        self.file("data/state.sqlite", b"nonsense" * 1000)
        self.assertFound("", "state.url", "can not be used", "Restore a backup")
