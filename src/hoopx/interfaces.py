"""
The seams of hoopx: interfaces only. Everything else depends on them.

A verdict is compared with C{is}; a Deferred exists only where something must be waited for.
Adapting and C{verifyObject} happen once, when things are wired.
"""

from __future__ import annotations

from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface


class IProtocolRecorder(IPlugin):
    """One protocol, as a Twisted plugin. L{hoopx.plugin.ProtocolRecorder} does all of it by default."""

    name = Attribute("The name that C{protocol = \"...\"} uses in the configuration.")
    summary = Attribute("One line for C{hoopx protocols}.")
    targetOptions = Attribute("attrs class: keys of C{[targets.X]} that are the protocol's own, or C{None}.")
    accountOptions = Attribute("attrs class: keys of C{[targets.X.accounts.Y]} that are the protocol's own, or C{None}.")
    guardOptions = Attribute("attrs class with C{matches(command) -> True | False | None}, or C{None}.")
    accountSecrets = Attribute("Names of account keys that are secret references, a tuple of C{str}.")
    listenerPinned = Attribute("C{True} when a listener of this protocol must name its target.")

    def conversation():
        """Start one connection's conversation. @return: an L{IConversation}."""

    def serverFactory(broker, listener):
        """Make the factory that accepts connections.

        @param broker: the L{hoopx.broker.Broker}.
        @param listener: the listener's settings (L{hoopx.config.ListenerSettings}).
        @return: an L{twisted.internet.interfaces.IProtocolFactory}."""

    def view():
        """Start reading one recording. @return: an L{ISessionView}."""


class IWireCodec(Interface):
    """Bytes to units, and nothing else.

    Whatever the splits of the input, the same units come out, and their bytes concatenate to the input.
    """

    interest = Attribute("A set of unit kinds that are worth cutting out; may be changed between two calls.")
    atBoundary = Attribute("C{True} when everything fed so far ends at a unit's end: bytes may be inserted here.")
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
        @return: bytes that say so to the client, or C{b""} where nothing can be said at this point."""


class IDoor(Interface):
    """One accepted connection: the only holder of its transports."""

    address = Attribute("The client's address, C{\"host:port\"}.")
    loopback = Attribute("C{True} when both ends of the client's connection are on this machine (judged from the socket).")
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

    def startTLS(side, received=b"", alpn=None):
        """Speak TLS from here on.

        @param side: C{CLIENT} (we are the server) or C{TARGET} (we are its client, and verify it as the target says).
        @param received: TLS bytes that were read already (direct TLS); never plaintext.
        @param alpn: list of protocol names, of which one must be agreed, or C{None}.
        @return: Deferred[bytes | None]: the peer's certificate as DER, when the handshake is over and verified. A failure of the
            target's is L{hoopx.errors.TargetFailed}.
        @raise hoopx.errors.ProtocolViolation: plaintext is still buffered on that side."""

    def offer(key, answer):
        """Let other connections of the same protocol reach this session (PostgreSQL: CancelRequest) until it ends.

        @param key: hashable.
        @param answer: callable(*arguments)."""

    def call(key, *arguments):
        """@return: C{True} when somebody offers the key and was called. Wrong keys are counted per address and refused in bulk."""

    def aside(conversation):
        """Open one more connection to this session's target for something short (PostgreSQL: CancelRequest).

        @param conversation: has C{targetCodec}, C{targetHandlers} and C{targetReady(aside)}, where aside has C{ask},
            C{startTLS(TARGET)} and C{close}."""

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

    def lane(channel, out):
        """Open one ordered flow.

        @param channel: number of the channel in the recording.
        @param out: C{{CLIENT: write towards the target, TARGET: write towards the client}}; byte-stream protocols pass C{None} and
            get the door's transports.
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

    def attempt(side, raw):
        """Record bytes that were received and are not forwarded (ATTEMPTED)."""

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


class IRecordings(Interface):
    """Where sessions are recorded."""

    def open(head):
        """Begin a recording.

        @param head: dict of the HEAD frame, as JSON can say it, without session, format, wall clock and public key, which are added.
        @return: Deferred[L{IRecording}], fired when HEAD and its directory are on the disk.
        @raise hoopx.errors.RecordingFailed: (through the Deferred) no recording can be made: below a disk mark, I/O error."""

    def obstacle():
        """@return: why no new session can be recorded, or C{None}."""


class IRecording(Interface):
    """One session's recording. Every method runs on the reactor's thread."""

    session = Attribute("ULID")
    sequence = Attribute("Sequence of the last frame.")
    lastActivity = Attribute("Nanoseconds (monotonic clock) of the last DATA or EVENT.")

    def append(channel, side, origin, payload):
        """Record bytes before they are forwarded.

        @param payload: C{bytes} of any length; frames are cut at 1 MiB.
        @return: C{None} when they are safe as the durability asks, else a Deferred that fires C{None} when they are. While one is
            pending, every later call returns a Deferred too, and they fire in order.
        @raise hoopx.errors.RecordingFailed: at once or through the Deferred; then and ever after."""

    def note(kind, channel=0, **fields):
        """Record an EVENT.

        @param kind: one of the catalogue in C{hoopx.frames.EVENTS}.
        @return: like L{append}."""

    def close(reason):
        """DONE and the last SEAL. From the disk reserve, when the disk is full.

        @return: Deferred[None]; never fails."""


class ISessionView(Interface):
    """A pure reader of one recording in the protocol's own terms. It shares the codec with the conversation."""

    def feed(frame):
        """Take the next frame.

        @param frame: L{hoopx.values.Frame}, in order of sequence.
        @return: list of L{hoopx.values.Command}, C{Result}, C{Output}, C{FileTransfer} or C{Notice}."""

    def finish():
        """@return: like L{feed}: what is still open at the recording's end."""


class IUnderstanding(Interface):
    """Raw commands to their meaning."""

    def understand(raw, state):
        """@return: L{hoopx.values.Command}, or a Deferred of it when a long text goes to a child process."""


class ICommandPolicy(Interface):
    """Judges commands. Pure and synchronous."""

    def judge(command, session):
        """@return: C{ALLOW}, C{HOLD} or a L{hoopx.values.Block}. An exception refuses."""

    def concerns(identity, target, protocol):
        """@return: C{False} when no rule can ever match in such a session: then nothing is parsed."""


class IAccessPolicy(Interface):
    """Who may open a session to what. Pure."""

    def admit(identity, claim, target):
        """@param identity: L{hoopx.values.Identity}
        @param claim: L{hoopx.values.Claim}: account (C{""} or the identity's own name or the part before C{@} = first allowed),
            database.
        @param target: L{hoopx.values.Target} or C{None} for an unknown one: the refusal is the same as for a forbidden one.
        @return: L{hoopx.values.Grant}
        @raise hoopx.errors.Refusal: codes C{not-found}, C{account}, C{database}."""


class ITargets(Interface):
    """Targets by name."""

    def get(name):
        """@return: L{hoopx.values.Target} or C{None}."""

    def names():
        """@return: iterable of names."""


class IGrants(Interface):
    """The grants that speak of an identity."""

    def forIdentity(identity):
        """@return: list of grant settings, in the order of the configuration."""


class IIdentityVerifier(Interface):
    """Finds out who somebody is."""

    def verify(claim):
        """@return: Deferred[L{hoopx.values.Identity}]; fails with L{hoopx.errors.Unauthorized}."""


class ICredentialSource(IPlugin):
    """Fetches secrets of one scheme."""

    scheme = Attribute("C{\"file\"}, C{\"env\"}, C{\"vault\"}, ...")

    def fetch(reference, identity, target):
        """@param reference: L{hoopx.values.Reference}
        @return: Deferred[bytes]; fails with L{hoopx.errors.TargetFailed}, whose text names the reference and never the secret."""


class IApprover(Interface):
    """Asks people."""

    def request(approval):
        """@param approval: L{hoopx.values.Approval}
        @return: Deferred[C{ALLOW} | L{hoopx.values.Block}]; cancelled when the client leaves or gives up."""


class IMaskingTransform(Interface):
    """Hides values on their way to the client."""

    def forFields(fields, context):
        """@return: list of callable or C{None}, or C{None}."""

    def forStream(side, context):
        """@return: a stream mask or C{None}."""


class IStorageBackend(IPlugin):
    """Keeps sealed segments; L{hoopx.storage} says what it promises. Deferreds fail with L{hoopx.storage.errors.StorageError}s."""

    scheme = Attribute("C{\"file\"}, C{\"s3\"}, C{\"memory\"}")

    def put(name, path, retainUntil, checksum=None):
        """@param checksum: hex SHA-256 of the file at C{path}, where it is known. @return: Deferred[L{hoopx.values.Receipt}]"""

    def open(receipt):
        """@return: Deferred[file-like]: reading it may block and raise the same errors."""

    def stat(receipt):
        """@return: Deferred[L{hoopx.values.Receipt}] with what C{list} may have left out."""

    def delete(receipt):
        """Remove this version; refused while it is held or retained; done when it is gone. @return: Deferred[None]"""

    def hold(receipt, on):
        """Set or lift a legal hold. @return: Deferred[None]"""

    def retain(receipt, until):
        """Keep until then (seconds since the epoch); never shorter than before. @return: Deferred[None]"""

    def list(prefix):
        """@return: Deferred[list of L{hoopx.values.Receipt}], all versions, sorted by name; delete markers too."""


class IEventSink(IPlugin):
    """Is told of admissions, verdicts, approvals, ends and alarms; never on the byte path."""

    def emit(kind, fields):
        """Take one event. Must not block; what it can not take it drops and counts."""
