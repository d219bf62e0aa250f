"""Asking witnesses."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseFailed

from hoopx.ledger.note import Signer, openNote, split
from hoopx.ledger.tree import consistency
from hoopx.witness.client import MAX_ANSWER, TIMEOUT, TRIES, submit, witnessKey
from hoopx.witness.errors import WitnessRefused, WitnessUnavailable
from tests.ledger.rig import key
from tests.witness.rig import BIG, Cosigner, Here, checkpoint
from tests.witness.test_witness import FORK

URL = "https://w.example/prefix/"


class Transport:
    aborted = False

    def abortConnection(self):
        self.aborted = True


class Response:
    def __init__(self, status, body, ending=None):
        self.code = status
        self._body = body
        self._ending = ending or ResponseDone()

    def deliverBody(self, protocol):
        protocol.makeConnection(Transport())
        for at in range(0, len(self._body), 7000):
            protocol.dataReceived(self._body[at : at + 7000])
        protocol.connectionLost(Failure(self._ending))


class Web:
    """An agent whose other end is a callable(body) -> Response, exception or Deferred."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def request(self, method, uri, headers, producer):
        class Consumer:
            data = b""

            def write(self, data):
                self.data += data

        consumer = Consumer()
        producer.startProducing(consumer)
        assert len(consumer.data) == producer.length
        self.asked.append((method, uri, consumer.data))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(consumer.data)
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


class Base(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.here = Here(os.path.join(self.mktemp(), "witness"))
        self.addCleanup(self.here.close)
        self.proofs = []

    def real(self, body):
        answer = self.here.witness.add(body)
        return Response(answer.status, answer.body)

    def submit(self, web, size=1000, tree=BIG, **named):
        def proofFor(old):
            self.proofs.append(old)
            return consistency(old, size, tree.node)

        return submit(web, URL, self.here.vkey, checkpoint(size, tree), proofFor, clock=self.clock, **named)

    def assertCosigned(self, line, size=1000):
        text, _ = split(checkpoint(size))
        openNote(text + b"\n" + line, [self.here.verifier])


class SubmitTests(Base):
    def test_first(self):
        web = Web(self.real)
        self.assertCosigned(self.successResultOf(self.submit(web)))
        self.assertEqual([asked[:2] for asked in web.asked], [(b"POST", b"https://w.example/prefix/add-checkpoint")])

    def test_sizeGuessed(self):
        self.successResultOf(self.submit(Web(self.real), 500))
        for old, proofs in ((0, [0, 500]), (500, [500, 1000]), (9999, [1000])):
            self.proofs = []
            self.assertCosigned(self.successResultOf(self.submit(Web(self.real), old=old)))
            self.assertEqual(self.proofs, proofs)

    def test_proofLater(self):
        """The proof may have to be waited for."""
        waiting = Deferred()
        done = submit(Web(self.real), URL, self.here.vkey, checkpoint(5), lambda old: waiting, clock=self.clock)
        self.assertNoResult(done)
        waiting.callback([])
        self.assertCosigned(self.successResultOf(done), 5)

    def test_rollback(self):
        self.successResultOf(self.submit(Web(self.real)))
        error = self.failureResultOf(self.submit(Web(self.real), 500), WitnessRefused).value
        self.assertEqual(error.kind, "rollback")
        self.assertIn("1000 leaves, and the ledger has 500", str(error))

    def test_fork(self):
        self.successResultOf(self.submit(Web(self.real)))
        for size, old in ((1000, 1000), (1000, 0), (2000, 0), (2000, 1000)):
            error = self.failureResultOf(self.submit(Web(self.real), size, FORK, old=old), WitnessRefused).value
            self.assertEqual(error.kind, "fork")

    def test_notAsked(self):
        for answer in (
            ConnectionRefusedError(),
            Response(500, b"oops\x1b[31m\n"),
            Response(404, b"unknown\n"),
            Response(403, b"not signed\n"),
            Response(400, b""),
            Response(409, b"not a number\n"),
            Response(409, b"12"),
            Response(200, b""),
            Response(200, b"<html>"),
            Response(200, b"x" * (MAX_ANSWER + 1)),
            Response(200, b"", ResponseFailed([Failure(ConnectionRefusedError())])),
            Response(302, b""),
        ):
            error = self.failureResultOf(self.submit(Web(answer)), WitnessUnavailable).value
            self.assertIn(URL, str(error))
            self.assertNotIn("\x1b", str(error))

    def test_status(self):
        self.assertEqual(self.failureResultOf(self.submit(Web(Response(404, b"?")))).value.status, 404)
        self.assertIsNone(self.failureResultOf(self.submit(Web(ConnectionRefusedError()))).value.status)

    def test_foreignCosignature(self):
        """Of another key, or of another checkpoint, it is none."""
        text, _ = split(checkpoint(1000))
        stranger = Cosigner("w.example", key(9)).cosign(text, 1)
        mine = self.here.state.cosigner
        for line in (stranger, mine.cosign(split(checkpoint(999))[0], 1), mine.sign(text)):
            self.failureResultOf(self.submit(Web(Response(200, line))), WitnessUnavailable)
        both = stranger + mine.cosign(text, 1)
        self.assertCosigned(self.successResultOf(self.submit(Web(Response(200, both)))))

    def test_neverAnswers(self):
        cancelled = []
        web = Web(Deferred(cancelled.append))
        done = self.submit(web)
        self.clock.advance(TIMEOUT - 0.1)
        self.assertNoResult(done)
        self.clock.advance(0.2)
        self.failureResultOf(done, WitnessUnavailable)
        self.assertEqual(len(cancelled), 1)

    def test_tossedAbout(self):
        """A witness that names another size each time is not asked for ever."""
        sizes = iter(range(1, 100))
        web = Web(lambda body: Response(409, b"%d\n" % next(sizes)))
        self.failureResultOf(self.submit(web), WitnessUnavailable)
        self.assertEqual(len(web.asked), TRIES)

    def test_keyOfEitherType(self):
        """Some witnesses publish their key as one of plain Ed25519."""
        plain = Signer("w.example", key(4)).vkey
        self.assertEqual(witnessKey(plain).vkey, Cosigner("w.example", key(4)).vkey)
        self.assertRaises(ValueError, submit, Web(), URL, "nonsense", checkpoint(5), lambda old: [], clock=self.clock)
