"""The auditors' keys: what is one, and what is said of what is none."""

from __future__ import annotations

import os

import pyrage
from twisted.trial.unittest import SynchronousTestCase

from hoopx.recording.auditors import LARGEST, KeyProblem, identities, problem, recipients

KEY = pyrage.x25519.Identity.generate()
PUBLIC, SECRET = str(KEY.to_public()), str(KEY)


class RecipientTests(SynchronousTestCase):
    def test_good(self):
        self.assertEqual(problem(PUBLIC), None)
        self.assertEqual([str(each) for each in recipients([PUBLIC, PUBLIC])], [PUBLIC, PUBLIC])

    def test_bad(self):
        for text in ("", "age1x", PUBLIC[:-1], PUBLIC + "a", "age1yubikey1qwerty", "alice@example.com", PUBLIC.replace("age1", "age2")):
            self.assertIn("expected an age public key", problem(text) or "", text)
        self.assertIn("SSH", problem("ssh-ed25519 AAAA alice") or "")
        error = self.assertRaises(KeyProblem, recipients, [PUBLIC, "age1x"])
        self.assertIn("recipient 2", str(error))

    def test_secret(self):
        """Somebody pastes the wrong half: it is not said again."""
        said = problem(SECRET) or ""
        self.assertIn("secret key", said)
        self.assertNotIn(SECRET, said)
        self.assertNotIn(SECRET, str(self.assertRaises(KeyProblem, recipients, [SECRET])))


class IdentityTests(SynchronousTestCase):
    def file(self, content: bytes) -> str:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_good(self):
        """As age-keygen writes it."""
        one = self.file(f"# created: 2026-01-01T00:00:00Z\n# public key: {PUBLIC}\n{SECRET}\n".encode())
        two = self.file(f"\n{SECRET}\r\n\n{SECRET}".encode())
        self.assertEqual([str(each) for each in identities([one, two])], [SECRET] * 3)
        self.assertEqual(identities([]), [])

    def test_bad(self):
        for content, said in [
            (b"", "no age identity"),
            (b"# nothing\n", "no age identity"),
            (PUBLIC.encode(), "line 1"),
            (SECRET.encode() + b"\nxyz", "line 2"),
            (b"age-encryption.org/v1\n", "encrypted itself"),
            (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "encrypted itself"),
            (b"#" * (LARGEST + 1), "longer"),
            (b"\xff" + os.urandom(100), "line 1"),  # neither an empty line nor a comment, which it may begin with by chance
        ]:
            error = str(self.assertRaises(KeyProblem, identities, [self.file(content)]))
            self.assertIn(said, error)
            self.assertNotIn(SECRET, error)
        self.assertIn("No such file", str(self.assertRaises(KeyProblem, identities, [self.mktemp()])))
