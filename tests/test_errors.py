"""
Tests of what errors and values say of themselves.
"""

import re

from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.main import COMMANDS
from hoopx.errors import ConfigurationError, ProtocolViolation, RecordingFailed, Refusal, Unauthorized, refusalOf, told
from hoopx.values import Credential, Token


class SaidTests(SynchronousTestCase):
    def test_noSecretIsShown(self):
        self.assertNotIn("s3cret", repr(Token("s3cret")))
        self.assertNotIn("s3cret", repr(Credential("app", {"password": b"s3cret"})))

    def test_place(self):
        error = ConfigurationError("is no duration", "hoopx.toml", "gateway.idle_timeout", 7)
        self.assertEqual(str(error), "hoopx.toml:7: gateway.idle_timeout: is no duration")

    def test_refusals(self):
        """Whatever keeps a client out, it is told in a refusal; a fault says nothing of itself."""
        refusal = Refusal("denied", "no")
        self.assertIs(refusalOf(refusal), refusal)
        found = [refusalOf(error) for error in (ProtocolViolation("what?"), RecordingFailed("/data is full"), KeyError("s3cret"))]
        self.assertEqual([one.code for one in found], ["invalid", "unrecordable", "internal-error"])
        self.assertEqual([one.message for one in found if "full" in one.message or "s3cret" in one.message], [])

    def test_unauthorizedSaysOneThing(self):
        self.assertEqual((str(Unauthorized()), Unauthorized().code), ("the access token is not valid", "unauthorized"))

    def test_hintedCommands(self):
        """What a client is told to do can be done."""
        said = re.findall(r"hoopx (\w+)", Unauthorized().hint)
        self.assertEqual((len(said) > 0, [each for each in said if each not in COMMANDS]), (True, []))

    def test_told(self):
        self.assertEqual(told(PermissionError(13, "Permission denied", "/data/x")), "/data/x: Permission denied")
        self.assertEqual(told(OSError(98, "Address already in use")), "Address already in use")
        self.assertEqual((told(ValueError("so")), told(KeyError())), ("so", "KeyError"))
