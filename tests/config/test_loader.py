"""
Configuration files, right and wrong. Of a wrong one: which line, which key, and what the error says.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.config import ConfigurationErrors, load, parse
from hoopx.errors import ConfigurationError
from hoopx.plugin import ProtocolRecorder
from hoopx.registry import protocols
from hoopx.values import Account, Reference

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"

ORDERS = """\
[targets.orders]
protocol = "postgres"
endpoint = "tcp:db.internal:5432"
[targets.orders.accounts.app]
password = { file = "secrets/app" }
"""

SECRET = "hunter2correcthorse"

# (text, line, key, fragments of the message)
WRONG = [
    # TOML itself
    ("[gateway", 1, "", ["is not TOML", "Expected ']'"]),
    ("[gateway]\nname = 'a'\nname = 'b'\n", 3, "", ["is not TOML"]),
    ("a = " + "[" * 5000 + "]" * 5000, None, "", ["nested too deeply"]),
    # unknown keys, at every depth
    ("[gatway]\n", 1, "gatway", ["unknown key", 'did you mean "gateway"?']),
    ("xyzzy = 1\n", 1, "xyzzy", ["unknown key", "there are: alerts, api, detect"]),
    ("[gateway]\nidleTimeout = '1s'\n", 2, "gateway.idleTimeout", ['did you mean "idle_timeout"?']),
    ("[gateway]\nmaxsessions = 1\n", 2, "gateway.maxsessions", ['did you mean "max_sessions"?']),
    ("[recording]\nsegment = { sze = '1MiB' }\n", 2, "recording.segment.sze", ['did you mean "size"?']),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\n[[listeners]]\nprotocl='postgres'\nendpoint='tcp:2'\n", 5,
     "listeners[1].protocl", ['did you mean "protocol"?']),
    (ORDERS + "[targets.orders.labels]\nenv = 1\n", 7, "targets.orders.labels.env", ["expected a text", "found 1"]),
    (ORDERS.replace("endpoint", "enpoint"), 3, "targets.orders.enpoint", ['did you mean "endpoint"?']),
    (ORDERS.replace("password", "pasword"), 5, "targets.orders.accounts.app.pasword", ['did you mean "password"?']),
    # keys of the protocol are checked like ours
    (ORDERS.replace("[targets.orders.a", "databse = 'x'\n[targets.orders.a"), 4, "targets.orders.databse",
     ['did you mean "database"?']),
    (ORDERS.replace("[targets.orders.a", "allow_md5 = 'yes'\n[targets.orders.a"), 4, "targets.orders.allow_md5",
     ["expected true or false", 'found "yes"']),
    ("[targets.l]\nprotocol = 'raw'\nendpoint = 'tcp:h:1'\ndatabase = 'x'\n", 4, "targets.l.database", ["unknown key"]),
    # missing keys
    ("\n[targets.orders]\nendpoint = 'tcp:db:5432'\n", 2, "targets.orders.protocol", ["is missing"]),
    ("[[listeners]]\nprotocol = 'postgres'\n", 1, "listeners[0].endpoint", ["is missing"]),
    ("[[grants]]\ngroups = ['a']\ntargets = ['*']\n", 1, "grants[0].name", ["is missing"]),
    ("[tls]\nprivate_key = 'k'\n", 1, "tls.certificate", ["is missing"]),
    # wrong types
    ("gateway = 1\n", 1, "gateway", ["expected a table with the keys name, data", "found 1"]),
    ("targets = []\n", 1, "targets", ["expected one table per target"]),
    ("[targets]\norders = 'x'\n", 2, "targets.orders", ["expected a table"]),
    ("[targets.orders]\nprotocol='postgres'\nendpoint='tcp:a:1'\naccounts=['app']\n", 4, "targets.orders.accounts",
     ["expected one table per account"]),
    ("listeners = 'tcp:15432'\n", 1, "listeners", ["expected a list of tables"]),
    ("[gateway]\nmax_sessions = '100'\n", 2, "gateway.max_sessions", ["expected a whole number, such as 100", 'found "100"']),
    ("[gateway]\nmax_sessions = true\n", 2, "gateway.max_sessions", ["expected a whole number", "found true"]),
    ("[gateway]\nidle_timeout = 30\n", 2, "gateway.idle_timeout", ['expected a duration, such as "10s"', "found 30"]),
    ("[gateway]\nidle_timeout = '30 minutes'\n", 2, "gateway.idle_timeout", ["expected a duration", 'found "30 minutes"']),
    ("[gateway]\ndisk_reserve = '64M'\n", 2, "gateway.disk_reserve", ['expected a size, such as "64KiB"', 'found "64M"']),
    ("[gateway]\nname = 'a/b'\n", 2, "gateway.name", ["expected a name of letters", 'found "a/b"']),
    ("[gateway]\ndata = ''\n", 2, "gateway.data", ["expected a path"]),
    ("[gateway]\nlogin_timeout = '0s'\n", 2, "gateway.login_timeout", ["more than nothing"]),
    ("[gateway]\nmax_sessions = -1\n", 2, "gateway.max_sessions", ["more than nothing"]),
    ("[recording]\ndurability = 'sync'\n", 2, "recording.durability", ['expected one of "written", "synced"', 'found "sync"']),
    ("[recording]\nsegment = { size = '1GiB' }\n", 2, "recording.segment.size", ["between"]),
    ("[recording]\nencrypt_to = 'age1x'\n", 2, "recording.encrypt_to", ["expected a list"]),
    ("[[grants]]\nname='g'\ngroups='analysts'\ntargets=['*']\n", 3, "grants[0].groups", ['expected a list, such as ["a", "b"]']),
    ("[[grants]]\nname='g'\ngroups=['a',\n 1]\ntargets=['*']\n", 4, "grants[0].groups[1]", ["expected a text", "found 1"]),
    ("[[grants]]\nname='g'\nkinds=['robot']\ntargets=['*']\n", 3, "grants[0].kinds[0]", ['expected one of "human", "agent"']),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\nproxy_protocol=['10.0.0.1/8']\n", 4,
     "listeners[0].proxy_protocol[0]", ["expected a network"]),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\nrequire_tls='no'\n", 4, "listeners[0].require_tls",
     ["expected true or false"]),
    # references
    (ORDERS.replace('{ file = "secrets/app" }', f'"{SECRET}"'), 5, "targets.orders.accounts.app.password",
     ["a secret does not stand in the configuration", '{ file = "secrets/name" } or { env = "NAME" }']),
    (ORDERS.replace("file", "fiel"), 5, "targets.orders.accounts.app.password", ["no secret reference of this kind"]),
    (ORDERS.replace('file = "secrets/app"', 'file = "a", env = "B"'), 5, "targets.orders.accounts.app.password",
     ["expected a reference to a secret", "found a table"]),
    (ORDERS.replace('file = "secrets/app"', 'env = "NOT OK"'), 5, "targets.orders.accounts.app.password",
     ["the name of an environment variable"]),
    (ORDERS.replace('file = "secrets/app"', 'vault = "no-field"'), 5, "targets.orders.accounts.app.password",
     ["expected a path and a field"]),
    (ORDERS.replace('file = "secrets/app"', "env = 7"), 5, "targets.orders.accounts.app.password", ["expected a reference"]),
    (ORDERS.replace('{ file = "secrets/app" }', "12345678"), 5, "targets.orders.accounts.app.password",
     ["expected a reference", "found a number"]),
    (ORDERS.replace("password =", "username ="), 5, "targets.orders.accounts.app.username", ["does not belong here"]),
    ("[targets.u]\nprotocol='later'\nendpoint='tcp:a:1'\n[targets.u.accounts.a]\ntoken = 'hx_abc'\n", 5,
     "targets.u.accounts.a.token", ["a secret does not stand"]),
    (f"[state]\nurl = 'postgresql://hoopx:{SECRET}@db/hoopx'\n", 2, "state.url", ['expected "sqlite:"', "{ file ="]),
    # what does not fit together
    (ORDERS.replace("tcp:db.internal:5432", "db.internal:5432"), 3, "targets.orders.endpoint", ["is no endpoint"]),
    (ORDERS.replace(":5432", ""), 3, "targets.orders.endpoint", ["expected a host and a port"]),
    (ORDERS.replace(":5432", ":postgres"), 3, "targets.orders.endpoint", ["expected a host and a port"]),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='15432'\n", 3, "listeners[0].endpoint", ["is no endpoint"]),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='tcp:x'\n", 3, "listeners[0].endpoint", ["expected a port"]),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1:2:3:4:5:6'\n", 3, "listeners[0].endpoint", ["is no endpoint"]),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\n[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\n", 6,
     "listeners[1].endpoint", ["another listener has the same endpoint"]),
    ("[[listeners]]\nprotocol='raw'\nendpoint='tcp:1'\n", 1, "listeners[0]", ["names its one target"]),
    (ORDERS + "[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\ntarget='order'\n", 9, "listeners[0].target",
     ["there is no such target", 'did you mean "orders"?']),
    (ORDERS + "[[listeners]]\nprotocol='raw'\nendpoint='tcp:1'\ntarget='orders'\n", 9, "listeners[0].target",
     ['the target speaks "postgres" and the listener "raw"']),
    (ORDERS + "[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\nidentity='bob'\n", 9, "listeners[0].identity",
     ['expected "service:" and a name']),
    ("[targets.orders]\nprotocol='postgres'\nendpoint='tcp:a:1'\n", 1, "targets.orders", ["has no account", "accounts.NAME"]),
    ("[targets.'a/b']\nprotocol='raw'\nendpoint='tcp:a:1'\n", 1, 'targets."a/b"', ["expected a name of letters"]),
    ("[targets.l]\nprotocol='raw'\nendpoint='tcp:a:1'\ntls='off'\nserver_name='b'\n", 4, "targets.l.tls",
     ["leave one of them out"]),
    ("[[listeners]]\nprotocol='postgres'\nendpoint='tcp:1'\ntls=true\nrequire_tls=false\n", 5, "listeners[0].require_tls",
     ["leave one of them out"]),
    (ORDERS.replace("password =", "private_key ="), 5, "targets.orders.accounts.app.private_key", ["without a certificate"]),
    (ORDERS.replace("[targets.orders.a", "tls='off'\n[targets.orders.a").replace("password =", "certificate ="), 6,
     "targets.orders.accounts.app.certificate", ["only be shown under TLS"]),
    (ORDERS.replace('password = { file = "secrets/app" }', "certificate = 'PEM'"), 5,
     "targets.orders.accounts.app.certificate", ["a secret does not stand in the configuration"]),
    ("[[grants]]\nname='g'\ntargets=['*']\n", 1, "grants[0]", ["says nobody"]),
    ("[[grants]]\nname='g'\nusers=['*']\n", 1, "grants[0]", ["says no target"]),
    ("[[grants]]\nname='g'\nusers=['*']\ntargets=['*']\n[[grants]]\nname='g'\nusers=['a']\ntargets=['*']\n", 6,
     "grants[1].name", ["same name"]),
    ("[[guards]]\nname='g'\naction='refuse'\n", 3, "guards[0].action", ['expected one of "block", "hold", "alert"']),
    ("[[guards]]\nname='g'\naction='block'\nsqll={}\n", 4, "guards[0].sqll", ['did you mean "sql"?']),
]  # fmt: skip


def errors(text: str, path: str = "/etc/hoopx/hoopx.toml", known=None) -> list[ConfigurationError]:
    try:
        parse(text, path, known)
    except ConfigurationErrors as found:
        return found.errors
    return []


class WrongTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Each wrong file gives one error, at its line, with its key, and what to do; never with the secret in it."""
        for text, line, key, fragments in WRONG:
            found = errors(text)
            said = [str(error) for error in found]
            self.assertEqual(len(found), 1, (text[:200], said))
            self.assertEqual((found[0].line, found[0].key), (line, key), (text[:200], said))
            for fragment in fragments:
                self.assertIn(fragment, found[0].message)
            self.assertNotIn(SECRET, said[0])
            self.assertTrue(said[0].startswith("/etc/hoopx/hoopx.toml" + (f":{line}: " if line else ": ")), said[0])

    def test_allAtOnce(self) -> None:
        """All errors of a file are told together, in the order of their lines."""
        text = "[recording]\ndurability = 1\n[gateway]\nnam = 1\nidle_timeout = 3\n" + ORDERS.replace("endpoint", "endpint")
        found = errors(text)
        self.assertEqual(
            [(error.line, error.key) for error in found],
            [
                (2, "recording.durability"),
                (4, "gateway.nam"),
                (5, "gateway.idle_timeout"),
                (8, "targets.orders.endpint"),
            ],
        )
        with self.assertRaises(ConfigurationErrors) as caught:
            parse(text, "x.toml")
        self.assertEqual(len(str(caught.exception).splitlines()), 4)

    def test_files(self) -> None:
        """A file that is not there, not readable as text, or not a configuration at all."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, content, line, fragment in [
            ("absent", None, None, "No such file or directory; write one with: hoopx init"),
            ("latin", b"a = 1\nb = '\xe9'\n", 2, "is not UTF-8 here"),
            ("long", b"#" * (4 * 1024 * 1024 + 1), None, "is longer than"),
        ]:
            path = folder / name
            if content is not None:
                path.write_bytes(content)
            with self.assertRaises(ConfigurationErrors) as caught:
                load(path)
            (error,) = caught.exception.errors
            self.assertIn(fragment, error.message)
            self.assertEqual((error.line, error.path), (line, str(path)))
        with self.assertRaises(ConfigurationErrors) as caught:
            load(folder)
        self.assertIn("Is a directory", str(caught.exception))

    def test_secretsStaySecret(self) -> None:
        """Whatever the wrong place, what looks like a secret is not repeated."""
        for value in (
            "hx_0123456789abcdef",
            "eyJhbGciOi.eyJzdWIi.c2ln",
            "-----BEGIN KEY-----",
            "postgresql://u:pw@h/d",
            "A1b2" * 8,
        ):
            for text in (
                f"[gateway]\nidle_timeout = '{value}'\n",
                f"[gateway]\nmax_sessions = '{value}'\n",
                f"[recording]\ndurability = '{value}'\n",
                f"[gateway]\nname = '{value} '\n",
                f"[identity.oidc.x]\nissuer='i'\naudiences=['a']\nclient_secret='{value}'\n",
                ORDERS.replace('{ file = "secrets/app" }', f"'{value}'"),
                ORDERS.replace('file = "secrets/app"', f"env = '{value} '"),
            ):
                said = "".join(map(str, errors(text)))
                self.assertTrue(said)
                self.assertNotIn(value, said)

    @settings(max_examples=100, deadline=None)
    @given(st.text("[]{}=\"'\\#,.\nabgtrs1 ", max_size=60))
    def test_anything(self, text: str) -> None:
        """Any text is settings or L{ConfigurationErrors}."""
        errors(text)


class RightTests(SynchronousTestCase):
    def test_reference(self) -> None:
        """The complete example in the docs has the shape we read."""
        read = load(DOCS / "hoopx.reference.toml")
        self.assertEqual((read.gateway.name, read.gateway.idleTimeout, read.gateway.diskReserve), ("gw1", 1800, 64 << 20))
        self.assertEqual((read.gateway.loginTimeout, read.gateway.maxDuration, read.gateway.maxSessions), (10, 43200, 10000))
        self.assertEqual(read.gateway.data, str(DOCS / "data"))
        self.assertEqual([each.protocol for each in read.listeners], ["postgres", "ssh", "http", "raw"])
        self.assertEqual([each.requireTLS for each in read.listeners], [False, None, None, None])
        self.assertEqual((read.listeners[3].target, read.listeners[3].identity), ("legacy", "service:legacy-batch"))
        orders = read.targets["orders"]
        self.assertEqual(orders.options.database, "orders")
        self.assertEqual(
            list(orders.accounts.values()),
            [
                Account("app", "app", {"password": Reference("file", str(DOCS / "secrets/orders-app"))}),
                Account("reporting", "reporting", {"password": Reference("env", "ORDERS_REPORTING")}),
            ],
        )
        self.assertEqual(list(read.targets), ["orders", "web1", "legacy", "shop-api", "prod-cluster"])
        self.assertEqual((read.grants[1].maxDuration, read.grants[1].approval.within), (14400, 900))
        self.assertEqual([guard.action for guard in read.guards[:3]], ["block", "hold", "block"])
        self.assertEqual(read.masks[0].key, Reference("file", str(DOCS / "secrets/mask-key")))
        self.assertEqual((read.recording.segmentSize, read.recording.segmentAge), (1 << 20, 10))
        self.assertEqual([rule.keep for rule in read.retention], [90 * 86400, 3 * 365 * 86400])
        self.assertEqual(read.path, str(DOCS / "hoopx.reference.toml"))

    def test_empty(self) -> None:
        """Everything but targets and grants has a default."""
        read = parse("", "/etc/hoopx/hoopx.toml")
        self.assertEqual(read.gateway.data, "/etc/hoopx/data")
        self.assertEqual(
            [(each.protocol, each.endpoint) for each in read.listeners], [("postgres", "tcp:15432:interface=127.0.0.1")]
        )
        self.assertEqual((read.targets, read.grants, read.metrics, read.tls), ({}, (), None, None))

    def test_relative(self) -> None:
        """Relative paths are relative to the file, wherever one stands."""
        self.assertEqual(parse("[gateway]\ndata='../d'\n", "sub/x.toml").gateway.data, os.path.abspath("d"))
        self.assertEqual(parse("[gateway]\ndata='/d'\n", "sub/x.toml").gateway.data, "/d")

    def test_crlf(self) -> None:
        self.assertEqual(parse("[gateway]\r\nname = 'a'\r\n", "x").gateway.name, "a")
        self.assertEqual(errors("[gateway]\r\nname = 'a'\r\nnam = 1\r\n")[0].line, 3)

    def test_accountName(self) -> None:
        """Without a user name, an account's own name is used."""
        self.assertEqual(parse(ORDERS, "x").targets["orders"].accounts["app"].username, "app")


@attrs.frozen
class SnakeOptions:
    pool_mode: str = "session"
    hosts: tuple[str, ...] = ()


@attrs.frozen
class CamelOptions:
    poolSize: int = 3
    limits: dict[str, int] = attrs.Factory(dict)


class PluginTests(SynchronousTestCase):
    """Keys of a stranger's protocol are checked like ours, whichever way its attributes are written."""

    def setUp(self) -> None:
        here = "tests.config.test_loader."
        stranger = ProtocolRecorder(
            "stranger",
            "",
            conversation="",
            view="",
            targetOptions=here + "SnakeOptions",
            accountOptions=here + "CamelOptions",
            accountSecrets=("pin",),
        )
        self.known = {**protocols(), "stranger": stranger}

    def test_right(self) -> None:
        text = (
            "[targets.s]\nprotocol='stranger'\nendpoint='tcp:a:1'\npool_mode='x'\nhosts=['a']\n"
            "[targets.s.accounts.a]\npool_size=4\npin={ env='PIN' }\nlimits={ a=1 }\n"
        )
        target = parse(text, "x", self.known).targets["s"]
        self.assertEqual(target.options, SnakeOptions("x", ("a",)))
        self.assertEqual(target.accounts["a"], Account("a", "a", {"pin": Reference("env", "PIN")}, CamelOptions(4, {"a": 1})))

    def test_wrong(self) -> None:
        text = (
            "[targets.s]\nprotocol='stranger'\nendpoint='tcp:a:1'\npoolmode='x'\nhosts='a'\n"
            "[targets.s.accounts.a]\npool_size='4'\npin='1234'\npol_size=1\nlimits={ a='b' }\n"
        )
        found = [(error.line, error.key, error.message) for error in errors(text, known=self.known)]
        self.assertEqual([each[:2] for each in found], [
            (4, "targets.s.poolmode"), (5, "targets.s.hosts"),
            (7, "targets.s.accounts.a.pool_size"), (8, "targets.s.accounts.a.pin"), (9, "targets.s.accounts.a.pol_size"),
            (10, "targets.s.accounts.a.limits.a"),
        ])  # fmt: skip
        self.assertIn('did you mean "pool_mode"?', found[0][2])
        self.assertIn("a secret does not stand", found[3][2])
        self.assertIn('did you mean "pool_size"?', found[4][2])
