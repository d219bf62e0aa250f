"""
Several gateways that keep their recordings in one bucket, under one prefix.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import requireModule
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import embedded
from tests.peers.harness.processes import folder
from tests.peers.harness.s3server import ACCESS, PLAIN, SECRET
from tests.peers.harness.seaweedfs import seaweedfs
from tests.peers.harness.waiting import until
from tests.peers.harness.wire import Wire, query

_numbers = itertools.count(int(time.time()))


class GatewaysCase(SynchronousTestCase):
    """Gateways, and what is done with them and their bucket."""

    def setUp(self) -> None:
        requireModule("boto3")
        self.server = seaweedfs()
        self.prefix = f"g{next(_numbers)}/"
        self.place = f"s3:{PLAIN}/{self.prefix[:-1]}"
        self.secrets = folder("s3")
        self.made: list[Gateway] = []
        for name, secret in (("access", ACCESS), ("secret", SECRET)):
            (self.secrets / name).write_text(secret)
            (self.secrets / name).chmod(0o600)

    def gateway(self, name: str, keep: str = "400d") -> Gateway:
        """@return: one with this name, a data directory and a ledger of its own."""
        more = (
            f'[recording]\nstore = "{self.place}"\nsegment = {{ size = "16KiB", age = "1s" }}\n[recording.s3]\n'
            f'endpoint = "http://127.0.0.1:{self.server.port}"\nobject_lock = "none"\n'
            f'access_key = {{ file = "{self.secrets}/access" }}\nsecret_key = {{ file = "{self.secrets}/secret" }}\n'
            f'[[retention]]\nkeep = "{keep}"\n'
        )
        made = Gateway([target("shop", embedded(), account("app"))], more=more, name=f"several-{name}")
        made.path.write_text(made.path.read_text().replace('name = "peers"', f'name = "{name}"', 1))
        made.start()
        self.addCleanup(made.stop)
        self.made.append(made)
        return made

    def session(self, gateway: Gateway) -> str:
        with Wire(gateway.port) as connection:
            connection.login("app", gateway.token(), "shop")
            connection.send(query("SELECT repeat('x', 40000)"))
            connection.untilReady()
            name = connection.address
        return str(gateway.session(name)["session"])

    def objects(self) -> dict[str, str]:
        """@return: key below the prefix -> ETag."""
        found: dict[str, str] = {}
        for page in self.server.client().get_paginator("list_objects_v2").paginate(Bucket=PLAIN, Prefix=self.prefix):
            found.update({each["Key"].removeprefix(self.prefix): each["ETag"] for each in page.get("Contents", ())})
        return found

    def of(self, node: str) -> dict[str, str]:
        return {key: tag for key, tag in self.objects().items() if key.startswith(f"{node}/")}

    def stored(self, node: str, *sessions: str) -> None:
        """All of it is in the store: of each session, which is over, as many segments as there are here."""

        def whole(session: str, keys: list[str]) -> bool:
            here = {path.name for made in self.made for path in made.data.glob(f"recordings/*/*/*/{session}/[0-9]*.hxr")}
            return 0 < len(here) and here == {key.rpartition("/")[2] for key in keys if session in key}

        until(lambda: all(whole(each, list(self.of(node))) for each in sessions), f"the segments of {node}")

    def verify(self, gateway: Gateway, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        from click.testing import CliRunner

        from hoopx.cli.main import cli

        done = CliRunner().invoke(
            cli, ["--config", str(gateway.path), "verify", "--json", *arguments, self.place], catch_exceptions=False
        )
        self.assertEqual(done.exit_code, status, done.output)
        return list(json.loads(done.stdout))

    def vkey(self, node: str) -> str:
        where = {"Bucket": PLAIN, "Key": f"{self.prefix}{node}/ledger/origin"}
        return str(self.server.client().get_object(**where)["Body"].read().decode().strip())


class ApartTests(GatewaysCase):
    def test_apart(self) -> None:
        """Objects, ledgers, verdicts and retention of each are its own; each is verified alone, and the bucket as a whole."""
        north, south = self.gateway("north", keep="1s"), self.gateway("south")
        mine = {node: [self.session(gateway) for _ in range(2)] for node, gateway in (("north", north), ("south", south))}
        for node, sessions in mine.items():
            self.stored(node, *sessions)
            others = mine["south" if node == "north" else "north"]
            self.assertFalse([key for key in self.of(node) for each in others if each in key])

        # Retention of the one: the other's objects are what they were, and so are the ledgers'.
        def over() -> set[str]:
            found = json.loads(north.call("retention", "run", "--dry-run", "--json"))
            return {line["session"] for line in found if line["done"] == "would be erased"}

        until(lambda: over() == set(mine["north"]), "the time to be over")
        before = self.objects()
        north.hoopx("retention", "run")
        until(lambda: not [key for key in self.of("north") if mine["north"][0] in key or mine["north"][1] in key], "the end")
        after = self.objects()
        self.assertEqual({key: tag for key, tag in before.items() if key.startswith("south/") or "/ledger/" in key},
                         {key: tag for key, tag in after.items() if key in before})  # fmt: skip
        mine["north"].append(self.session(north))
        self.stored("north", mine["north"][2])

        # A curator that has lost its list finds its own in the store, and stores nothing twice.
        south.stop()
        for name in os.listdir(south.data):
            if name.startswith("curator.sqlite"):
                os.unlink(south.data / name)
        segments = {key: tag for key, tag in self.of("south").items() if key.endswith(".hxr")}
        south.start()
        mine["south"].append(self.session(south))
        self.stored("south", mine["south"][2])
        for gateway in (north, south):
            gateway.stop()  # and with it comes the last checkpoint
        now = {key: tag for key, tag in self.of("south").items() if key.endswith(".hxr") and mine["south"][2] not in key}
        self.assertEqual(now, segments)

        states = {"north": ["erased", "erased", "complete"], "south": ["complete"] * 3}
        whole = self.verify(north)
        ledgers = {line["ledger"].partition(".")[0]: line for line in whole if line["session"] is None}
        self.assertEqual({node: line["state"] for node, line in ledgers.items()}, {"north": "consistent", "south": "consistent"})
        for node, sessions in mine.items():
            told = {line["session"]: line for line in whole if line["session"] and line["ledger"] == ledgers[node]["ledger"]}
            self.assertEqual([told[each]["state"] for each in sessions if each in told],
                             [state for each, state in zip(sessions, states[node]) if each in told])  # fmt: skip
            self.assertEqual({line["logged"] for line in told.values()}, {True})
            self.assertIn(sessions[2], told)
            alone = self.verify(south, "--gateway", node)
            self.assertEqual(alone, [*told.values(), ledgers[node]])
            key = self.vkey(node)
            self.assertEqual(self.verify(south, "--ledger-key", key), whole)

        # Who has copied the bucket into a folder sees the same there.
        copy = folder("copy")
        for key in self.objects():
            path = copy / key
            path.parent.mkdir(parents=True, exist_ok=True)
            body = self.server.client().get_object(Bucket=PLAIN, Key=self.prefix + key)["Body"]
            path.write_bytes(body.read())
        place, self.place = self.place, str(copy)
        self.assertEqual(self.verify(south), whole)
        self.assertEqual(self.verify(south, "--gateway", "south"), [line for line in whole if line["ledger"] == ledgers["south"]["ledger"]])
        self.place = place

        # What is done to the one says nothing against the other.
        s3 = self.server.client()
        key = next(key for key in self.of("south") if mine["south"][0] in key)
        s3.delete_object(Bucket=PLAIN, Key=self.prefix + key)
        states2 = {line["session"]: line["state"] for line in self.verify(north, status=1)}
        self.assertNotIn(states2[mine["south"][0]], ("complete", "erased"))
        self.assertEqual((states2[mine["south"][1]], states2[mine["north"][2]]), ("complete", "complete"))
        self.verify(north, "--gateway", "north")
        self.verify(north, "--gateway", "south", status=1)


class TwinTests(GatewaysCase):
    def test_sameName(self) -> None:
        """By mistake two have one name: the first has it, the second puts nothing among its recordings, says so, and loses nothing."""
        first = self.gateway("twin")
        one = self.session(first)
        self.stored("twin", one)
        second = self.gateway("twin")
        two = self.session(second)
        until(lambda: "store-name" in second.log(), "the alarm")
        self.assertIn("another gateway keeps its recordings under the name twin", second.log())
        self.assertNotIn("store-name", first.log())
        three = self.session(first)
        self.stored("twin", one, three)
        self.assertFalse([key for key in self.of("twin") if two in key])

        def told() -> bool:
            status = json.loads(second.hoopx("status", "--json"))["curator"]
            return "another gateway" in status["store"]["state"] and status["backlog"]["segments"] > 0

        until(told, "the status to say so")
        first.stop()
        second.stop()
        found = self.verify(first)
        self.assertEqual({line["session"]: line["state"] for line in found}, {one: "complete", three: "complete", None: "consistent"})

        # With a name of its own all of it arrives.
        second.path.write_text(second.path.read_text().replace('name = "twin"', 'name = "other"', 1))
        second.start()
        self.stored("other", two)
        second.stop()
        found = self.verify(first)
        self.assertEqual(
            [(line["session"], line["state"]) for line in found if line["session"]],
            [(two, "complete"), (one, "complete"), (three, "complete")],
        )
