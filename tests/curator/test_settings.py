"""What the curator is told of the configuration arrives whole, and its secrets are shown by nothing."""

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hoopx.config.loader import parse
from hoopx.curator.commands import CuratorFailed
from hoopx.curator.making import Given, configured
from hoopx.curator.settings import curatorSettings, dump, load, secretReferences, withSecrets
from hoopx.values import Reference

FILE = """
[gateway]
name = "gw1"
data = "data"
[targets.orders]
protocol = "postgres"
endpoint = "tcp:db:5432"
labels = { data = "personal" }
  [targets.orders.accounts.app]
  username = "app"
  password = { file = "pw" }
[recording]
store = "s3:bucket/prefix"
encrypt_to = ["age1abc"]
local_keep = "7d"
signing_key = { file = "ledger.key" }
witness_quorum = 1
  [[recording.witnesses]]
  url = "https://w/"
  key = "w+1+2"
  [recording.s3]
  endpoint = "https://s3"
  access_key = { env = "A" }
  secret_key = { file = "s" }
[[retention]]
targets = ["web*"]
keep = "90d"
[index]
url = { file = "index-url" }
"""


class SettingsTests(SynchronousTestCase):
    def setUp(self):
        self.settings = parse(FILE, str(Path(self.mktemp()).resolve() / "hoopx.toml"))

    def test_whole(self):
        secrets = {"signing_key": b"PEM\n", "s3.accessKey": b"\xff1", "s3.secretKey": b"s", "index.url": b"postgresql://u:pw@h/d\n"}
        self.assertEqual(set(secretReferences(self.settings)), set(secrets))
        told = withSecrets(curatorSettings(self.settings), secrets)
        again = load(dump(told))
        self.assertEqual(again, told)
        self.assertEqual(again.index, "metadata")
        self.assertTrue(again.remote)
        self.assertEqual((again.localKeep, again.quorum, again.rules[0].keep), (7 * 86400.0, 1, 90 * 86400.0))
        self.assertEqual(again.labels, {"orders": {"data": "personal"}})
        self.assertEqual((again.signingKey, again.indexUrl), (b"PEM\n", "postgresql://u:pw@h/d"))
        for secret in ("PEM", "pw", "xff1"):
            self.assertNotIn(secret, repr(again))

    def test_forBackend(self):
        told = withSecrets(curatorSettings(self.settings), {"s3.accessKey": b"a", "s3.secretKey": b"b"})
        settings = configured(told)
        self.assertEqual(settings.recording.s3.endpoint, "https://s3")
        given = Given(told.secrets)
        self.assertEqual(self.successResultOf(given.fetch(settings.recording.s3.secretKey, None, None)), b"b")

    def test_renewed(self):
        """Who asks again has had no luck: the gateway is asked for what there is now, once for all who ask at the same time."""
        secrets, asked = {"a": b"1", "b": b"1"}, []
        given = Given(secrets, lambda: asked.append(Deferred()) or asked[-1])
        fetch = lambda: [given.fetch(Reference("given", name), None, None) for name in ("a", "b")]
        self.assertEqual([self.successResultOf(each) for each in fetch()], [b"1", b"1"])
        again = fetch()
        secrets.update(a=b"2", b=b"2")
        self.assertNoResult(again[0])
        asked[0].callback(None)
        self.assertEqual([self.successResultOf(each) for each in again], [b"2", b"2"])
        again = fetch()
        asked[1].errback(CuratorFailed("gone"))
        self.assertEqual([self.successResultOf(each) for each in again], [b"2", b"2"])
        self.assertEqual(len(asked), 2)
        self.failureResultOf(given.fetch(Reference("given", "c"), None, None), KeyError)

    def test_quorumOfAll(self):
        plain = parse("[gateway]\nname='a'\n", "/x/hoopx.toml")
        told = curatorSettings(plain)
        self.assertEqual((told.quorum, told.index, told.remote), (0, "full", False))

    def test_foreign(self):
        for text in (b"", b"[]", b"{}", b'{"signingKey": null}', b"\xff"):
            self.assertRaises(ValueError, load, text)
