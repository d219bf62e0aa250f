"""
Who may open a session to what.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.config import GrantSettings
from hoopx.errors import Refusal
from hoopx.interfaces import IAccessPolicy, IGrants
from hoopx.policy.access import AccessPolicy, Grants, covers, speaksOf
from hoopx.protocols.postgres.options import TargetOptions
from hoopx.values import Account, Claim, Grant, Identity, Target, Token

APP, REPORTING = Account("app", "app"), Account("reporting", "rep")
ORDERS = Target(
    "orders",
    "postgres",
    "tcp:db:5432",
    labels={"env": "prod"},
    accounts={"app": APP, "reporting": REPORTING},
    options=TargetOptions(database="shop"),
)
LEGACY = Target("legacy", "raw", "tcp:legacy:1")
ALICE = Identity("local", "alice", "alice@example.com", groups=("analysts",))


def claim(target: str = "orders", account: str = "", database: str | None = None) -> Claim:
    return Claim("postgres", target, account, Token("hx_x"), database)


def policy(*grants: GrantSettings) -> AccessPolicy:
    return AccessPolicy(Grants(grants))


class AccessTests(SynchronousTestCase):
    def refusal(self, *arguments, **more) -> Refusal:
        return self.assertRaises(Refusal, *arguments, **more)

    def test_interfaces(self) -> None:
        verifyObject(IGrants, Grants([]))
        verifyObject(IAccessPolicy, policy())

    def test_nothingIsAllowed(self) -> None:
        """No grants, or none that says whom or what."""
        for grants in (
            [],
            [GrantSettings("g")],
            [GrantSettings("g", groups=("analysts",))],
            [GrantSettings("g", targets=("*",))],
        ):
            refused = self.refusal(policy(*grants).admit, ALICE, claim(), ORDERS)
            self.assertEqual(refused.code, "not-found")

    def test_grant(self) -> None:
        rules = GrantSettings("r", groups=("analysts",), targets=("ord*",), permit=("opaque",), maxDuration=60.0)
        self.assertEqual(policy(rules).admit(ALICE, claim(), ORDERS), Grant("r", APP, "shop", ("opaque",), 60.0))

    def test_unknownLooksLikeForbidden(self) -> None:
        """Byte for byte, but for the name that was asked."""
        rules = policy(GrantSettings("r", users=("bob",), targets=("*",)))
        for name in ("orders", "x\ny", "a" * 5000):
            target = Target(name, "postgres", "", accounts={"app": APP})
            forbidden = self.refusal(rules.admit, ALICE, claim(name), target)
            unknown = self.refusal(rules.admit, ALICE, claim(name), None)
            self.assertEqual(vars(forbidden), vars(unknown))
            self.assertTrue(forbidden.message.isprintable())
            self.assertLess(len(forbidden.message), 300)

    def test_ownNameIsFirstAllowedAccount(self) -> None:
        rules = policy(GrantSettings("r", groups=("analysts",), targets=("orders",), accounts=("reporting", "app")))
        for account in ("", "alice@example.com", "alice", "reporting"):
            self.assertEqual(rules.admit(ALICE, claim(account=account), ORDERS).account, REPORTING)
        self.assertEqual(rules.admit(ALICE, claim(account="app"), ORDERS).account, APP)

    def test_otherAccount(self) -> None:
        """The list is told to those who may use the target; its other accounts are not."""
        rules = policy(GrantSettings("r", groups=("analysts",), targets=("orders",), accounts=("reporting",)))
        for account in ("app", "bob", "alice@", "postgres\x00"):
            refused = self.refusal(rules.admit, ALICE, claim(account=account), ORDERS)
            self.assertEqual(refused.code, "account")
            self.assertIn("allowed: reporting", refused.message)
            self.assertTrue(refused.message.isprintable())

    def test_accountWinsOverName(self) -> None:
        """Somebody called like an account gets that account, if it is allowed, and else the first."""
        app = Identity("local", "app", "app", groups=("analysts",))
        both = policy(GrantSettings("r", groups=("analysts",), targets=("orders",), accounts=("reporting", "app")))
        self.assertEqual(both.admit(app, claim(account="app"), ORDERS).account, APP)
        one = policy(GrantSettings("r", groups=("analysts",), targets=("orders",), accounts=("reporting",)))
        self.assertEqual(one.admit(app, claim(account="app"), ORDERS).account, REPORTING)

    def test_database(self) -> None:
        """The target's own without a word; others only when they are named, and then its own only if it is."""
        plain = policy(GrantSettings("r", groups=("analysts",), targets=("orders",)))
        self.assertEqual(plain.admit(ALICE, claim(database="shop"), ORDERS).database, "shop")
        refused = self.refusal(plain.admit, ALICE, claim(database="archive"), ORDERS)
        self.assertEqual((refused.code, refused.message), (
            "database", 'database "archive" is not allowed at target "orders"; allowed: shop'
        ))  # fmt: skip
        more = policy(GrantSettings("r", groups=("analysts",), targets=("orders",), databases=("arch*",)))
        self.assertEqual(more.admit(ALICE, claim(database="archive"), ORDERS).database, "archive")
        self.assertEqual(self.refusal(more.admit, ALICE, claim(), ORDERS).code, "database")

    def test_ownDatabaseIsNoPattern(self) -> None:
        odd = Target("t", "postgres", "", accounts={"app": APP}, options=TargetOptions(database="*"))
        rules = policy(GrantSettings("r", groups=("analysts",), targets=("t",)))
        self.assertEqual(self.refusal(rules.admit, ALICE, claim("t", database="x"), odd).code, "database")

    def test_databaseByTargetName(self) -> None:
        plain = Target("t", "postgres", "", accounts={"app": APP}, options=TargetOptions())
        rules = policy(GrantSettings("r", groups=("analysts",), targets=("t",)))
        self.assertEqual(rules.admit(ALICE, claim("t"), plain).database, "t")

    def test_severalGrants(self) -> None:
        """Account and database of one session come from one grant: two halves do not make a whole."""
        rules = policy(
            GrantSettings("a", groups=("analysts",), targets=("orders",), accounts=("reporting",), databases=("archive",)),
            GrantSettings("b", groups=("analysts",), targets=("orders",), accounts=("app",), databases=("shop",)),
        )
        self.assertEqual(rules.admit(ALICE, claim(), ORDERS).name, "b")
        self.assertEqual(rules.admit(ALICE, claim(account="reporting", database="archive"), ORDERS).name, "a")
        refused = self.refusal(rules.admit, ALICE, claim(account="app", database="archive"), ORDERS)
        self.assertIn("allowed: shop", refused.message)
        refused = self.refusal(rules.admit, ALICE, claim(account="other"), ORDERS)
        self.assertIn("allowed: reporting, app", refused.message)

    def test_labels(self) -> None:
        for labels, targets, allowed in [
            ({"env": "prod"}, (), True),
            ({"env": "dev"}, (), False),
            ({"env": "prod", "more": "x"}, (), False),
            ({"env": "prod"}, ("other",), False),
            ({"env": "prod"}, ("orders",), True),
        ]:
            self.assertEqual(covers(GrantSettings("r", targets=targets, labels=labels), ORDERS), allowed)

    def test_raw(self) -> None:
        """A target without accounts has one that nobody needs to name; its protocol has no databases."""
        rules = policy(GrantSettings("r", users=("service:batch",), targets=("legacy",), permit=("opaque",)))
        batch = Identity("listener", "service:batch", "service:batch", kind="service")
        given = rules.admit(batch, claim("legacy"), LEGACY)
        self.assertEqual((given.account.username, given.database, given.permit), ("", None, ("opaque",)))
        self.assertEqual(self.refusal(rules.admit, batch, claim("legacy", database="x"), LEGACY).code, "database")

    def test_restrictedToken(self) -> None:
        """A token that is restricted to targets sees no other, whatever the grants say."""
        rules = policy(GrantSettings("r", groups=("analysts",), targets=("*",)))
        for patterns, allowed in [(None, True), (("orders",), True), (("o*", "x"), True), (("web*",), False), ((), False)]:
            identity = Identity("local", "alice", "alice", groups=("analysts",), targets=patterns)
            if allowed:
                rules.admit(identity, claim(), ORDERS)
            else:
                self.assertEqual(self.refusal(rules.admit, identity, claim(), ORDERS).code, "not-found")

    def test_whom(self) -> None:
        bot = Identity("local", "bot", "bot", groups=("analysts",), kind="agent")
        delegate = Identity("local", "alice", "alice@example.com", groups=("analysts",), kind="agent", actor="planner")
        for grant, alice, direct, delegated in [
            ({"groups": ("analysts",)}, True, True, False),
            ({"users": ("alice@example.com",)}, True, False, False),
            ({"users": ("*@example.com",)}, True, False, False),
            ({"users": ("*@example.com", "planner")}, True, False, True),
            ({"kinds": ("agent",)}, False, True, True),
            ({"kinds": ("human",)}, True, False, False),
            ({"groups": ("analysts",), "kinds": ("agent",)}, False, True, True),
            ({"groups": ("others",), "kinds": ("agent",)}, False, False, False),
            ({"groups": ("others",), "users": ("bot",)}, False, True, False),
            ({"users": ("planner",)}, False, False, False),
            ({"groups": ("analyst*",)}, False, False, False),
        ]:
            rule = GrantSettings("r", targets=("*",), **grant)
            self.assertEqual(
                (speaksOf(rule, ALICE), speaksOf(rule, bot), speaksOf(rule, delegate)), (alice, direct, delegated), grant
            )

    def test_secondFactor(self) -> None:
        """A grant with a condition that can not be judged gives nothing."""
        rules = policy(GrantSettings("r", groups=("analysts",), targets=("*",), mfa=900.0))
        self.assertEqual(self.refusal(rules.admit, ALICE, claim(), ORDERS).code, "not-found")

    def test_accountsThatAreNotThere(self) -> None:
        """A grant of accounts that a target does not have is no grant: the target stays unseen."""
        rules = policy(GrantSettings("r", groups=("analysts",), targets=("*",), accounts=("root",)))
        self.assertEqual(self.refusal(rules.admit, ALICE, claim(), ORDERS).code, "not-found")


NAMES = st.sampled_from(["a", "b", "ab", "c"])
PATTERNS = st.lists(st.sampled_from(["a", "b", "ab", "*", "a*", "?"]), max_size=2).map(tuple)
GRANTS = st.builds(
    GrantSettings,
    name=NAMES,
    groups=PATTERNS,
    users=PATTERNS,
    kinds=st.lists(st.sampled_from(["human", "agent"]), max_size=1).map(tuple),
    targets=PATTERNS,
    accounts=PATTERNS,
    databases=PATTERNS,
)
IDENTITIES = st.builds(
    Identity,
    issuer=st.just("local"),
    subject=NAMES,
    name=NAMES,
    groups=st.lists(NAMES, max_size=2).map(tuple),
    kind=st.sampled_from(["human", "agent"]),
    actor=st.one_of(st.none(), NAMES),
    targets=st.one_of(st.none(), PATTERNS),
)
TARGETS = st.builds(
    lambda name, accounts, database: Target(
        name, "postgres", "", accounts={each: Account(each, each) for each in accounts}, options=TargetOptions(database=database)
    ),
    NAMES,
    st.lists(NAMES, max_size=3, unique=True),
    NAMES,
)


class PropertyTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=150)
    @given(st.lists(GRANTS, max_size=3), IDENTITIES, TARGETS, NAMES, st.one_of(st.none(), NAMES))
    def test_onlyWhatAGrantSays(self, grants, identity, target, account, database) -> None:
        """Whatever is given is said by one grant alone, and taking grants away never gives more."""
        asked = Claim("postgres", target.name, account, Token("x"), database)
        try:
            given = policy(*grants).admit(identity, asked, target)
        except Refusal as refused:
            self.assertIn(refused.code, ("not-found", "account", "database"))
            for grant in grants:
                self.assertRaises(Refusal, policy(grant).admit, identity, asked, target)
            return
        self.assertEqual(given.database, database or target.options.database)
        self.assertTrue(identity.targets is None or any(fnmatchcase(target.name, each) for each in identity.targets))
        self.assertTrue(not target.accounts or given.account in target.accounts.values())
        self.assertTrue(given.account.name == account or account == identity.name)
        for grant in grants:
            if grant.name == given.name and speaksOf(grant, identity) and covers(grant, target):
                break
        else:
            self.fail("no grant says so")
        self.assertRaises(Refusal, policy().admit, identity, asked, target)

    @settings(deadline=None)
    @given(st.lists(GRANTS, max_size=3), IDENTITIES, TARGETS)
    def test_forbiddenIsUnknown(self, grants, identity, target) -> None:
        """Nothing that an identity asks tells a target it may not use from one that is not there."""
        rules = policy(*grants)
        if rules.visible(identity, target):
            return
        asked = Claim("postgres", target.name, "a", Token("x"), "b")
        forbidden = self.assertRaises(Refusal, rules.admit, identity, asked, target)
        unknown = self.assertRaises(Refusal, rules.admit, identity, asked, None)
        self.assertEqual(vars(forbidden), vars(unknown))
