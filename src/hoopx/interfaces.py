"""
The seams of hoopx: interfaces only. Everything else depends on them.

A verdict is compared with C{is}; a Deferred exists only where something must be waited for.
Adapting and C{verifyObject} happen once, when things are wired.
"""

from __future__ import annotations

from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

from hoopx.relay import IConversation, IDoor, ILane, ISession, IWireCodec

__all__ = [
    "IAccessPolicy",
    "IApprover",
    "ICommandPolicy",
    "IConversation",
    "ICredentialSource",
    "IDoor",
    "IEventSink",
    "IGrants",
    "IIdentityVerifier",
    "ILane",
    "IMaskingTransform",
    "IProtocolRecorder",
    "IRecording",
    "IRecordings",
    "ISession",
    "ISessionView",
    "IStorageBackend",
    "ITargets",
    "IUnderstanding",
    "IWireCodec",
]


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
    lastActivity = Attribute("Nanoseconds (monotonic clock) of the last DATA or EVENT; an alarm is none of the session's.")

    def append(channel, side, origin, payload):
        """Record bytes before they are forwarded.

        @param payload: C{bytes} of any length; frames are cut at 1 MiB.
        @return: C{None} when they are safe as the durability asks, else a Deferred that fires C{None} when they are. While one is
            pending, every later call returns a Deferred too, and they fire in order.
        @raise hoopx.errors.RecordingFailed: at once or through the Deferred; then and ever after."""

    def seal(channel, side, payload):
        """Record bytes that somebody else is not to see, sealed to the auditors if this recording keeps such; else nothing of them.
        What became of them is recorded next: C{MADE} was sent in their place, C{ATTEMPTED} without bytes says that nothing was.

        @return: like L{append}; C{None} also when nothing is kept.
        @raise hoopx.errors.RecordingFailed: like there."""

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

        @param frame: L{hoopx.values.Frame}, in order of sequence; neither sealed originals nor DATA without bytes
            (L{hoopx.telling.heard}). Originals that were opened come as what they would have been.
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
        """@return: Deferred[list of L{hoopx.values.Receipt}], all versions and delete markers, sorted by name, of each the newest first."""


class IEventSink(IPlugin):
    """Is told of admissions, verdicts, approvals, ends and alarms; never on the byte path."""

    def emit(kind, fields):
        """Take one event. Must not block; what it can not take it drops and counts."""
