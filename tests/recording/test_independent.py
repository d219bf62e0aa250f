"""
A verifier written from docs/reference/format.rst and the C2SP specifications alone. Nothing of hoopx is imported: what the documents say
is enough. It reads the fixtures, which stay as they are for ever.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import struct
import zlib

import pyrage
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from twisted.trial.unittest import SynchronousTestCase

FIXTURE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "fixtures", "evidence")
START = bytes.fromhex("8948 5852 0d0a 1a0a 0001")
HEAD, LINK, DATA, EVENT, CLOCK, CHECK, SEAL, DONE, RECOVERED = range(1, 10)


class Bad(Exception):
    pass


def sha(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(key, kind, payload):
    value = json.loads(payload)
    signature = bytes.fromhex(value.pop("signature"))
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, b"hoopx-%s-v1\0" % kind + canonical(value))
    except InvalidSignature:
        raise Bad("signature") from None
    return value


def plain(data, identities):
    if data.startswith(b"age-encryption.org"):
        data = pyrage.decrypt(data, identities)
    if data.startswith(bytes.fromhex("28b52ffd")):
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return data


def frames(data):
    """(offset, at, sequence, kind, flags, payload)"""
    if not data.startswith(START):
        raise Bad("magic")
    at = len(START)
    while at < len(data):
        if len(data) - at < 32:
            raise Bad("torn")
        size, crc = struct.unpack_from(">II", data, at)
        time, sequence, channel, kind, side, origin, flags = struct.unpack_from(">QQIBBBB", data, at + 8)
        end = at + 32 + size
        if size > 1 << 20 or end > len(data):
            raise Bad("length")
        if zlib.crc32(data[at + 8 : end]) != crc:
            raise Bad("checksum")
        yield at, time, sequence, kind, flags, data[at + 32 : end]
        at = end


def verifySession(session, segments, ledgerKey):
    """@return: (state, HEAD's key, digests of the seals, digests of HEAD and end)"""
    last, before, ended, seals, head, end, key = 0, None, 0, [], None, None, None
    for number, data in enumerate(segments):
        signer, kinds = key, []
        for at, _time, sequence, kind, _flags, payload in frames(data):
            if sequence <= last:
                raise Bad("sequence")
            if not kinds:
                if kind != (LINK if number else HEAD):
                    raise Bad("first frame")
                value = json.loads(payload)
                if value["session"] != session:
                    raise Bad("session")
                if number:
                    if value["segment"] != number or value["sha256"] != before:
                        raise Bad("link")
                else:
                    signer = key = bytes.fromhex(value["key"])
                    head = sha(payload)
            elif kind in (HEAD, LINK) or kinds[-1] == SEAL:
                raise Bad("order")
            elif ended and not (kind == SEAL or (ended, kind) == (DONE, RECOVERED)):
                raise Bad("behind the end")
            elif kind in (CHECK, SEAL):
                value = signed(signer, b"check" if kind == CHECK else b"seal", payload)
                if (value["session"], value["segment"], value["sha256"]) != (session, number, sha(data[:at])):
                    raise Bad("hash")
                if kind == SEAL:
                    if value["frames"] != len(kinds):
                        raise Bad("count")
                    seals.append(sha(payload))
            elif kind == RECOVERED:
                value = signed(ledgerKey, b"recovered", payload)
                if (value["session"], value["segment"], value["last"]) != (session, number, last):
                    raise Bad("recovered")
                signer, ended, end = ledgerKey, RECOVERED, sha(payload)
            elif kind == DONE:
                ended, end = DONE, sha(payload)
            kinds.append(kind)
            last = sequence
        if kinds[-1] != SEAL or (ended and number != len(segments) - 1):
            raise Bad("no seal, or a segment behind the end")
        before = sha(data)
    if not ended:
        raise Bad("no end")
    return {DONE: "done", RECOVERED: "recovered"}[ended], key.hex(), seals, head, end


def tree(leaves):
    """RFC 6962, 2.1."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def verifyNote(note, vkeys):
    """The C2SP signed note: the names of those whose signature holds."""
    text, _, rest = note.partition(b"\n\n")
    text += b"\n"
    found = []
    for line in rest.decode().splitlines():
        _dash, name, encoded = line.split(" ")
        data = base64.b64decode(encoded)
        for vkey in vkeys:
            keyName, keyId, key = vkey.split("+", 2)
            kind, public = base64.b64decode(key)[0], base64.b64decode(key)[1:]
            if (keyName, bytes.fromhex(keyId)) == (name, data[:4]):
                message, signature = text, data[4:]
                if kind == 4:
                    message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + text
                    signature = signature[8:]
                Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
                found.append(name)
    return text, found


def verifyAll(data, vkey, witness, identities):
    """@return: session -> state"""
    with open(os.path.join(data, "ledger", "checkpoint"), "rb") as file:
        text, names = verifyNote(file.read(), [vkey, witness])
    if names != [vkey.split("+")[0], witness.split("+")[0]]:
        raise Bad("signers")
    origin, size, root = text.decode().split("\n")[:3]
    size = int(size)
    assert size < 256, "one tile"
    with open(os.path.join(data, "ledger", "tile", "entries", "000.p", str(size)), "rb") as file:
        bundle = file.read()
    leaves = []
    while bundle:
        (length,) = struct.unpack_from(">H", bundle)
        leaves.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    if origin != vkey.split("+")[0] or len(leaves) != size or base64.b64decode(root) != tree(leaves):
        raise Bad("root")
    with open(os.path.join(data, "ledger", "tile", "0", "000.p", str(size)), "rb") as file:
        if file.read() != b"".join(hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves):
            raise Bad("tile")
    said = {}
    for leaf in map(json.loads, leaves):
        if "session" in leaf:
            said.setdefault(leaf["session"], {}).setdefault(leaf["type"], []).append(leaf)
    there = {os.path.basename(place): place for place, _, files in os.walk(os.path.join(data, "recordings")) if files}
    states = {}
    for session, leaf in said.items():
        if "erased" in leaf:
            states[session] = "erased"
            continue
        if session not in there:
            raise Bad(f"{session} is missing")
        (sealed,) = [leaf["sealed"]]
        stored = []
        for number, each in enumerate(sealed):
            with open(os.path.join(there[session], f"{number:06}.hxr"), "rb") as file:
                stored.append(file.read())
            if (each["segment"], each["object"], each["size"]) != (number, sha(stored[-1]), len(stored[-1])):
                raise Bad("object")
        state, key, seals, head, end = verifySession(
            session, [plain(one, identities) for one in stored], base64.b64decode(vkey.split("+", 2)[2])[1:]
        )
        (last,) = leaf[state]
        if (last["segments"], last["end"]) != (len(stored), end) or seals != [each["seal"] for each in sealed]:
            raise Bad("the ledger has another end or seal")
        if (leaf["opened"][0]["key"], leaf["opened"][0]["head"]) != (key, head):
            raise Bad("the ledger has another head")
        states[session] = state
    return states


class IndependentTests(SynchronousTestCase):
    def setUp(self):
        with open(os.path.join(FIXTURE, "keys.json"), encoding="ascii") as file:
            self.keys = json.load(file)
        self.identity = pyrage.x25519.Identity.from_str(self.keys["auditor"])

    def verify(self, data):
        return verifyAll(data, self.keys["ledger"], self.keys["witness"], [self.identity])

    def test_agrees(self):
        """With what the fixture was made as, and with hoopx's own verifier."""
        found = self.verify(os.path.join(FIXTURE, "data"))
        self.assertEqual(found, self.keys["sessions"])
        self.assertEqual(set(found.values()), {"done", "recovered", "erased"})

    def test_own(self):
        from hoopx.ledger.note import Verifier
        from hoopx.recording.evidence import Evidence
        from hoopx.recording.register import verifyLedger
        from hoopx.recording.stored import opener

        data = os.path.join(FIXTURE, "data")
        note = self.keys["checkpoint"].encode()
        registers = []
        for identities in ([], [self.identity]):
            found = Evidence(
                data,
                lambda: verifyLedger(
                    os.path.join(data, "ledger"), Verifier.parse(self.keys["ledger"]), note, [Verifier.parse(self.keys["witness"])]
                ),
                opener(identities),
            ).run(registers.append)
            states = {verdict.session: verdict.state for verdict in found}
            self.assertEqual(states, {id: {"done": "complete"}.get(state, state) for id, state in self.keys["sessions"].items()})
            self.assertEqual((registers[-1].problems, registers[-1].against), ([], "checkpoint"))

    def test_tampered(self):
        """It can fail: a bit anywhere in a segment."""
        import random
        import shutil

        words = random.Random(1)
        data = os.path.join(os.path.abspath(self.mktemp()), "data")
        shutil.copytree(os.path.join(FIXTURE, "data"), data)
        names = [os.path.join(place, name) for place, _, files in os.walk(data) for name in files if name.endswith(".hxr")]
        for _ in range(40):
            name = words.choice(names)
            with open(name, "rb") as file:
                kept = file.read()
            changed = bytearray(kept)
            changed[words.randrange(len(kept))] ^= 1 << words.randrange(8)
            os.remove(name)
            with open(name, "wb") as file:
                file.write(changed)
            self.assertRaises(Bad, self.verify, data)
            os.remove(name)
            with open(name, "wb") as file:
                file.write(kept)
        self.assertEqual(self.verify(data), self.keys["sessions"])
