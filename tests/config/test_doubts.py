"""
What is no error and hardly meant.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.config import limits, parse
from hoopx.config.doubts import doubts, hints
from hoopx.config.limits import descriptors, raiseDescriptors
from tests.config.test_loader import ORDERS

GRANT = "[[grants]]\nname='g'\nusers=['*']\ntargets=['orders']\n"
OPEN = "[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\nrequire_tls=false\n"
LEGACY = """\
[targets.legacy]
protocol='raw'
endpoint='tcp:a:1'
[[listeners]]
protocol='raw'
endpoint='tcp:2'
target='legacy'
"""
FEW = "[gateway]\nmax_sessions = 10\n"

DOUBTED = [
    ("", "targets", "no target"),
    (ORDERS, "targets.orders", "no grant speaks of it"),
    (ORDERS + GRANT.replace("'orders'", "'orders', 'web*'"), "grants[0].targets[1]", "no such target"),
    (ORDERS + GRANT + "accounts=['app', 'root']\n", "grants[0].accounts[1]", "such an account"),
    (ORDERS + GRANT + "[[grants]]\nname='h'\nusers=['*']\nlabels={ env='prod' }\n", "grants[1].labels", "these labels"),
    (ORDERS.replace("[targets.orders.a", "tls='off'\n[targets.orders.a") + GRANT, "targets.orders.tls", "is off"),
    (ORDERS.replace("[targets.orders.a", "trust=true\n[targets.orders.a") + GRANT, "targets.orders.trust", "is believed"),
    (
        ORDERS + GRANT + "[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\nrequire_tls=false\n",
        "listeners[0].require_tls",
        "clear",
    ),
    (
        ORDERS + GRANT + "[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\nproxy_protocol=['10.0.0.0/8', '::/0']\n",
        "listeners[0].proxy_protocol[1]",
        "is everybody",
    ),
    (
        ORDERS + GRANT.replace("'orders'", "'*'") + LEGACY + "tls=true\n",
        "listeners[0]",
        "nothing can prove who connects",
    ),
    (
        ORDERS + GRANT.replace("'orders'", "'*'") + LEGACY + "[tls]\ncertificate='c'\nclient_authorities='d'\n",
        "listeners[0]",
        "nothing can prove who connects",
    ),
    (ORDERS + GRANT + "[recording.s3]\nregion='x'\n", "recording.s3", "not used"),
    (ORDERS + GRANT + "[recording]\nstore='s3:bucket'\n[recording.s3]\nsession_token={env='T'}\n", "recording.s3.session_token", "access_key"),
    (ORDERS + GRANT + "[recording]\nstore='s3:bucket'\n[recording.s3]\nendpoint='http://s3:1'\n", "recording.s3.endpoint", "no TLS"),
    (ORDERS + GRANT + "[[retention]]\nkeep='1h'\n[[retention]]\nkeep='0s'\n", "retention[1].keep", "less than an hour"),
]


class DoubtsTests(SynchronousTestCase):
    def test_doubted(self) -> None:
        for text, key, fragment in DOUBTED:
            found = doubts(parse(FEW + text, "/nowhere/x.toml"))
            self.assertEqual([each.key for each in found], [key], text)
            self.assertIn(fragment, found[0].message)

    def test_nothing(self) -> None:
        loopback = "[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1:interface=127.0.0.1'\nrequire_tls=false\n"
        self.assertEqual(doubts(parse(FEW + ORDERS + GRANT + loopback, "/nowhere/x.toml")), [])

    def test_provable(self) -> None:
        """Certificates, or a listener that vouches for whoever comes."""
        text = FEW + ORDERS + GRANT.replace("'orders'", "'*'") + LEGACY
        for more in ("identity='service:x'\n", "tls=true\n[tls]\ncertificate='c'\nclient_authorities='d'\n"):
            self.assertEqual(doubts(parse(text + more, "/nowhere/x.toml")), [])

    def test_openSecret(self) -> None:
        folder = Path(self.mktemp()).absolute()
        (folder / "secrets").mkdir(parents=True)
        secret = folder / "secrets" / "app"
        secret.write_text("hunter2")
        for mode, found in [(0o600, []), (0o644, ["targets.orders.accounts.app.password"])]:
            secret.chmod(mode)
            self.assertEqual([each.key for each in doubts(parse(FEW + ORDERS + GRANT, str(folder / "x")))], found)

    def test_descriptors(self) -> None:
        self.assertIdentical(descriptors(1000, 3256), None)
        self.assertIn("need 3256 open files and this machine allows 3255, enough for 999", descriptors(1000, 3255))
        self.assertIn("enough for 0", descriptors(1000, 10))

    def test_unasked(self) -> None:
        """As many as there may be by default nobody has asked for: that is no doubt, but good to know."""
        self.patch(limits.resource, "getrlimit", lambda which: (1024, 3255))
        plain = parse(ORDERS + GRANT, "/nowhere/x.toml")
        self.assertEqual(doubts(plain), [])
        (hint,) = hints(plain)
        self.assertEqual(hint.key, "gateway.max_sessions")
        for fragment in ("room for 999 sessions", "max_sessions = 999", "LimitNOFILE=30256"):
            self.assertIn(fragment, str(hint))
        asked = parse("[gateway]\nmax_sessions = 10000\n" + ORDERS + GRANT, "/nowhere/x.toml")
        self.assertEqual(([each.key for each in doubts(asked)], hints(asked)), (["gateway.max_sessions"], []))
        self.patch(limits.resource, "getrlimit", lambda which: (1024, 100_000))
        self.assertEqual((hints(plain), doubts(asked)), ([], []))

    def test_raise(self) -> None:
        """The soft limit goes up to what is needed, never down, and never over the hard one, which is told."""
        infinity = limits.resource.RLIM_INFINITY
        for soft, hard, asked, problem in [
            (1024, 100000, (3256, 100000), False),
            (1024, infinity, (3256, infinity), False),
            (1024, 2000, (2000, 2000), True),
            (2000, 2000, None, True),
            (5000, 100000, None, False),
            (infinity, infinity, None, False),
        ]:
            done: list = []
            self.patch(limits.resource, "getrlimit", lambda _, found=(soft, hard): found)
            self.patch(limits.resource, "setrlimit", lambda _, pair, done=done: done.append(pair))
            self.assertEqual(raiseDescriptors(1000) is not None, problem)
            self.assertEqual(done, [asked] if asked else [])
