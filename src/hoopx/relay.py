"""
The seams of one connection that is relayed: codec, conversation, door, session, lane. L{hoopx.interfaces} has them all.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IWireCodec(Interface):
    """Bytes to units, and nothing else.

    Whatever the splits of the input, the same units come out, and their bytes concatenate to the input.
    """

    interest = Attribute("A set of unit kinds that are worth cutting out; may be changed between two calls.")
    atBoundary = Attribute("C{True} when everything given out so far ends where a unit ends: bytes may be inserted here.")
    wasAtBoundary = Attribute("What C{atBoundary} was before the last C{feed}. A codec that gives out whole units only: C{True}, both.")
    buffered = Attribute("How many bytes are kept back, waiting for the rest of a unit.")

    def feed(data):
        """Take the next bytes.

        @param data: C{bytes}, not empty.
        @return: a list of C{(kind, bytes)}. Kind C{None} is an uncut run: bytes of units that nobody asked for, possibly
            ending inside a unit.
        @raise hoopx.errors.ProtocolViolation: the bytes can not be of this protocol."""


class IConversation(Interface):
    """One connection's protocol: units to commands. Sans-io: it calls doors and lanes, which tests fake.

    The door looks up C{clientHandlers} and C{targetHandlers} at each unit; a unit without a handler is forwarded as it is
    (before the session is live: a violation).
    """

    clientCodec = Attribute("L{IWireCodec} of what the client sends.")
    targetCodec = Attribute("L{IWireCodec} of what the target sends.")
    clientHandlers = Attribute("dict: kind -> callable(raw)")
    targetHandlers = Attribute("dict: kind -> callable(raw)")

    def begin(door):
        """A client has connected. Ends, some time later, in C{door.admit} or C{door.close}.

        @param door: an L{IDoor}."""

    def targetReady(session, credential):
        """The target's connection stands: log in there (with C{door.ask}), then take C{session.lane} and call C{door.live}.

        @param session: an L{ISession}.
        @param credential: a L{hoopx.values.Credential}; not to be kept after the login."""

    def refuse(lane, command, verdict):
        """Tell the client, in its protocol and order, that a command is refused.

        @param command: the L{hoopx.values.Command}.
        @param verdict: a L{hoopx.values.Block}."""

    def waiting(lane, approval):
        """Tell the client that its command waits for a person. Called at once and every 15 seconds."""

    def refused(refusal):
        """Tell the client that its session is not admitted or the target is not to be had; with C{door.reply} before the
        session is live.

        @param refusal: a L{hoopx.errors.Refusal}."""

    def end(reason, message):
        """The session ends by the gateway's doing: cancel what runs at the target (C{door.aside}).

        @param reason: one word of the DONE frame's catalogue.
        @param message: a sentence for the client.
        @return: bytes that say so to the client, or C{b""} where the protocol has no word for it. They are sent if the client has
            whole units: see L{IWireCodec}."""


class IDoor(Interface):
    """One accepted connection: the only holder of its transports."""

    address = Attribute("The client's address, C{\"host:port\"}: what its balancer's PROXY header says, where there is one.")
    loopback = Attribute(
        "C{True} when both ends of the client's connection are on this machine (judged from the socket); never behind a balancer."
    )
    secure = Attribute("C{True} once the client's side speaks TLS.")
    requireTLS = Attribute("C{True} when the listener wants TLS from this client.")
    certificate = Attribute("L{hoopx.values.Certificate} the client has proved, or C{None}.")
    startsTLS = Attribute("C{True} when the listener speaks TLS from the first byte.")
    pinned = Attribute("Name of the target the listener is pinned to, or C{None}.")
    listener = Attribute("L{hoopx.values.Listener} identity of the listener, or C{None}.")

    def reply(data):
        """Send bytes to the client before the session is live. @raise RuntimeError: afterwards."""

    def ask(data):
        """Send login bytes to the target before the session is live; they are not recorded. @raise RuntimeError: afterwards."""

    def admit(claim):
        """Verify, record, authorise, connect: then L{IConversation.targetReady}. A failure goes to L{IConversation.refused}.

        @param claim: L{hoopx.values.Claim}."""

    def live():
        """Logged in at the target: from now on every byte goes through the lane; login deadline off, idle deadline on."""

    def startTLS(side, received=b"", alpn=None, credential=None):
        """Speak TLS from here on.

        @param side: C{CLIENT} (we are the server) or C{TARGET} (we are its client, and verify it as the target says).
        @param received: TLS bytes that were read already (direct TLS); never plaintext.
        @param alpn: list of protocol names, of which one must be agreed, or C{None}.
        @param credential: L{hoopx.values.Credential}, with a target: shown to it when it asks, if its secrets hold a C{certificate}
            (PEM, with what lies between it and its authority) and a C{private_key} (PEM; else in the same text).
        @return: Deferred[bytes | None]: the peer's certificate as DER, when the handshake is over and verified. A failure of the
            target's is L{hoopx.errors.TargetFailed}.
        @raise hoopx.errors.ProtocolViolation: plaintext is still buffered on that side."""

    def compute(function, *arguments):
        """Compute what would hold others up (more than some milliseconds) in a thread.

        @param function: pure; takes only C{arguments}, which are hashable, and lets go of the interpreter's lock.
        @return: Deferred of its result; cancelled when the door closes. Fails with L{hoopx.errors.Refusal} when there is too much
            to compute."""

    def offer(key, answer):
        """Let other connections of the same protocol reach this session (PostgreSQL: CancelRequest) until it ends.

        @param key: hashable.
        @param answer: callable(*arguments)."""

    def call(key, *arguments):
        """@return: C{True} when somebody offers the key and was called. Wrong keys are counted per address and refused in bulk."""

    def aside(conversation):
        """Open one more connection to this session's target for something short (PostgreSQL: CancelRequest); not when several
        are under way.

        @param conversation: has C{targetCodec}, C{targetHandlers} and C{targetReady(aside)}, where aside has C{ask},
            C{startTLS(TARGET)} and C{close}."""

    def failed(failure):
        """Whatever went wrong, as an errback: the client is told, and the session ends, if there is one already.

        @param failure: L{twisted.python.failure.Failure}."""

    def close(reason):
        """Close the client's connection once everything said to it is sent."""


class ISession(Interface):
    """One identity at one target with one recording."""

    id = Attribute("ULID.")
    identity = Attribute("L{hoopx.values.Identity}")
    target = Attribute("L{hoopx.values.Target}")
    grant = Attribute("L{hoopx.values.Grant}: account, database, permissions.")
    claim = Attribute("L{hoopx.values.Claim}")
    leaving = Attribute("The DONE reason, should the target close now: a protocol that hears goodbye sets C{\"client-left\"}.")
    judged = Attribute("C{True} when rules are in force for this session: the conversation must understand commands.")

    def lane(channel, out=None, masks=()):
        """Open one ordered flow.

        @param channel: number of the channel in the recording.
        @param out: C{{CLIENT: write towards the target, TARGET: write towards the client}}; byte-stream protocols pass C{None} and
            get the door's transports.
        @param masks: the sides of whose words the conversation hides some: bytes of theirs that are not forwarded are not recorded as
            they are either, and see L{ILane.masked}.
        @return: an L{ILane}."""

    def note(kind, **fields):
        """Record an EVENT of the catalogue. @raise hoopx.errors.RecordingFailed:"""

    def end(reason, message=""):
        """End the session: reason goes into DONE, the message to the client. Further calls do nothing."""


class ILane(Interface):
    """The only place from which bytes of a session leave."""

    last = Attribute("Who spoke last: C{CLIENT} when it waits for an answer.")
    held = Attribute("C{True} while units of the client wait.")

    def forward(side, sent, recorded=None, origin=1):
        """Record, then send. The order of calls is the order on the wire and in the recording.

        @param side: who speaks: C{CLIENT} (the bytes go to the target) or C{TARGET} (they go to the client).
        @param sent: bytes to send.
        @param recorded: bytes to record, where they differ (credentials injected towards a target).
        @param origin: C{PASSED} or C{MADE}."""

    def masked(side, sent, original):
        """Record, then send what is left of a unit when things in it are hidden. The original is sealed to the auditors before that,
        where C{[recording] original = "sealed"}; otherwise it is in no recording.

        @param side: who speaks; one of the lane's C{masks}.
        @param sent: bytes to send (MADE); none to keep all of it back.
        @param original: the unit as it came.
        @raise ValueError: this lane masks nothing of that side."""

    def attempt(side, raw):
        """Record bytes that were received and are not forwarded (ATTEMPTED); of a side that is masked, like an original."""

    def submit(raw, command, proceed):
        """Judge a command: proceed at once, refuse, or hold this lane. Units that arrive during a hold wait in order.

        @param raw: the unit, for the record when it is refused.
        @param command: the L{hoopx.values.Command}, or a Deferred of it.
        @param proceed: callable(raw) that forwards it."""

    def judge(command):
        """@return: the policy's verdict; a L{hoopx.values.Block} whenever something went wrong."""

    def refuse(raw, command, verdict):
        """Record a unit as attempted, with its verdict, and let the conversation tell the client."""

    def hold(deferred, raw, proceed):
        """Stop this lane until the Deferred fires. Success alone proceeds."""

    def withdraw(message):
        """The client gives up the command that is held.

        @return: C{True} when something was held; it is refused with C{Block(message)}."""

    def mask(fields):
        """@return: a list of callable or C{None} per field, or C{None} when nothing of them is masked."""

    def note(kind, **fields):
        """Record an EVENT on this channel."""
