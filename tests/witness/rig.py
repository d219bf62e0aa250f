"""What the tests of witnesses need."""

from __future__ import annotations

from hoopx.ledger.note import Checkpoint, Cosigner, Signer, Verifier, makeNote
from hoopx.ledger.tree import consistency, root
from hoopx.witness.exchange import Request, encode
from hoopx.witness.state import State
from hoopx.witness.witness import Witness
from tests.ledger.rig import grown, key

ORIGIN = "gw1.00000000"
NOW = 1790000000
LEDGER = Signer(ORIGIN, key())
BIG = grown(100_000)


def checkpoint(size, tree=BIG, signer=LEDGER, origin=ORIGIN):
    text = Checkpoint(origin, size, root(size, tree.node)).text()
    return makeNote(text, [signer.sign(text)])


def request(old, size, tree=BIG, signer=LEDGER, origin=ORIGIN):
    return encode(Request(old, tuple(consistency(old, size, tree.node)), checkpoint(size, tree, signer, origin)))


class Here:
    """A witness in a directory, and what it has raised alarms about."""

    def __init__(self, directory, name="w.example", files=None, ledgers=(LEDGER,)):
        self.alarms = []
        self.state = State(directory, name, files)
        self.vkey = self.state.cosigner.vkey
        self.verifier = Verifier.parse(self.vkey)
        self.witness = Witness(
            self.state, [one.verifier for one in ledgers], lambda: NOW + 0.5, lambda kind, fields: self.alarms.append((kind, fields))
        )

    def close(self):
        self.state.close()


__all__ = ["BIG", "Cosigner", "Here", "LEDGER", "NOW", "ORIGIN", "checkpoint", "request"]
