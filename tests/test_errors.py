"""
Tests of what errors and values say of themselves.
"""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError, Unauthorized
from hoopx.values import Credential, Token


class SaidTests(SynchronousTestCase):
    def test_noSecretIsShown(self):
        self.assertNotIn("s3cret", repr(Token("s3cret")))
        self.assertNotIn("s3cret", repr(Credential("app", {"password": b"s3cret"})))

    def test_place(self):
        error = ConfigurationError("is no duration", "hoopx.toml", "gateway.idle_timeout", 7)
        self.assertEqual(str(error), "hoopx.toml:7: gateway.idle_timeout: is no duration")

    def test_unauthorizedSaysOneThing(self):
        self.assertEqual((str(Unauthorized()), Unauthorized().code), ("the access token is not valid", "unauthorized"))
