# -*- test-case-name: tests.protocols.postgres.test_scram -*-
"""
The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: RFC 5802, RFC 7677, and the C{tls-server-end-point} channel binding
of RFC 5929. Speaks as libpq does where PostgreSQL differs from the RFCs (empty user name, passwords that SASLprep refuses).

The server proves itself too: AuthenticationOk counts only once L{ScramClient.verified} is true.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stringprep
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from hoopx.errors import ProtocolViolation, TargetFailed

PLAIN: Final = "SCRAM-SHA-256"
PLUS: Final = "SCRAM-SHA-256-PLUS"

MIN_ITERATIONS: Final = 4096
"""RFC 7677 §4. An impostor that asks for fewer would make guessing the password from our proof cheap."""
MAX_ITERATIONS: Final = 5_000_000
"""Some 1.5 s of one core, in a thread, once for each password; PostgreSQL's default is 4,096, and its own limit (2^31 - 1) would be ten
minutes. A target must not burn more of our time than that."""
MAX_INLINE: Final = 100_000
"""What L{ScramClient.respond} is ready to compute itself (some 50 ms); more is for L{ScramClient.prepare} and a thread."""
THREAD_ABOVE: Final = 10_000
"""From here (some 5 ms) L{ScramClient.prepare} asks for a thread; 4,096 takes 2 ms, less than a thread would cost."""
MAX_MESSAGE: Final = 4096
"""Of a server's message: PostgreSQL's are below 150 bytes."""
MAX_KNOWN: Final = 512
"""Derived keys kept: one for each account in use, about 200 bytes each."""

_SERVER_FIRST: Final = re.compile(rb"r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})(?:,[A-Za-z]=[^,\0]*)*", re.DOTALL)
_SERVER_FINAL: Final = re.compile(rb"([ve])=([^,\0]+)(?:,[A-Za-z]=[^,\0]*)*", re.DOTALL)
_PROHIBITED: Final = tuple(
    getattr(stringprep, "in_table_" + name) for name in ("a1", "c12", "c21_c22", "c3", "c4", "c5", "c6", "c7", "c8", "c9")
)


class Derivation(NamedTuple):
    """What L{saltedPassword} must be called with: C{saltedPassword(*derivation)}, best in a thread."""

    password: bytes
    salt: bytes
    iterations: int

    def __repr__(self) -> str:
        return f"<Derivation of {self.iterations} iterations>"


def saltedPassword(password: bytes, salt: bytes, iterations: int) -> bytes:
    """C{Hi} of RFC 5802 §2.2. Lets go of the interpreter's lock."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


def saslprep(password: bytes) -> bytes:
    """
    RFC 4013 as PostgreSQL does it: what is not UTF-8, or holds what the profile forbids, is used as it is; the characters
    are looked at before they are normalised.

    @param password: UTF-8, or any bytes.
    @return: what is hashed.
    """
    if password.isascii():
        return password
    try:
        text = password.decode("utf-8")
    except UnicodeDecodeError:
        return password
    # U+200B is in both tables: a space to PostgreSQL.
    spaced = (" " if stringprep.in_table_c12(char) else char for char in text)
    mapped = "".join(char for char in spaced if not stringprep.in_table_b1(char))
    if not mapped or any(forbidden(char) for char in mapped for forbidden in _PROHIBITED):
        return password
    if any(map(stringprep.in_table_d1, mapped)):
        if any(map(stringprep.in_table_d2, mapped)):
            return password
        if not (stringprep.in_table_d1(mapped[0]) and stringprep.in_table_d1(mapped[-1])):
            return password
    return unicodedata.normalize("NFKC", mapped).encode("utf-8")


def endPoint(certificate: bytes) -> bytes | None:
    """
    The C{tls-server-end-point} binding: the certificate under the hash of its own signature, but SHA-256 in place of MD5 and
    SHA-1 (RFC 5929 §4.1).

    @param certificate: DER.
    @return: the hash, or C{None} when the signature has none (Ed25519): no binding is defined for such a certificate.
    """
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return None
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name.replace("-", "_")
    try:
        return hashlib.new(name, certificate).digest()
    except ValueError:
        return None


class Known:
    """
    Salted passwords that were right, so that the next login costs nothing. Keys are digests under a key of this process:
    they tell nothing, and a password that changed is another key. Only L{ScramClient.verify} adds: a target that does not
    know the password can neither fill it nor push others out.
    """

    def __init__(self, limit: int = MAX_KNOWN) -> None:
        self._limit = limit
        self._key = os.urandom(32)
        self._salted: OrderedDict[bytes, bytes] = OrderedDict()

    def _name(self, derivation: Derivation) -> bytes:
        password, salt, iterations = derivation
        text = b"%d %d %b%b" % (iterations, len(salt), salt, password)
        return hmac.digest(self._key, text, "sha256")

    def get(self, derivation: Derivation) -> bytes | None:
        """@return: the salted password, or C{None}."""
        name = self._name(derivation)
        salted = self._salted.get(name)
        if salted is not None:
            self._salted.move_to_end(name)
        return salted

    def add(self, derivation: Derivation, salted: bytes) -> None:
        """Remember one; the one that was not used for the longest time goes."""
        self._salted[self._name(derivation)] = salted
        if len(self._salted) > self._limit:
            self._salted.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._salted.clear()

    def __len__(self) -> int:
        return len(self._salted)


KNOWN: Final = Known()


def _newNonce() -> bytes:
    return b64encode(os.urandom(18))


class ScramClient:
    """
    One login at one server: L{first}, then L{respond}, then L{verify}, once each.

    @ivar mechanism: the one to name in SASLInitialResponse.
    @ivar bound: C{True} when the login is bound to the TLS connection.
    @ivar verified: C{True} once the server has proved that it knows the password.
    """

    verified = False

    def __init__(
        self,
        password: bytes,
        mechanisms: Sequence[str],
        certificate: bytes | None = None,
        newNonce: Callable[[], bytes] = _newNonce,
        known: Known = KNOWN,
        username: bytes = b"",
    ) -> None:
        """
        @param password: as it stands in the secret.
        @param mechanisms: what the server offers (AuthenticationSASL).
        @param certificate: the server's, as DER, on a TLS connection; C{None} on a plain one.
        @param newNonce: gives printable ASCII without a comma.
        @param username: PostgreSQL takes the startup packet's and wants none here.
        @raise TargetFailed: nothing offered can be used.
        """
        binding = endPoint(certificate) if certificate is not None else None
        if PLUS in mechanisms and binding is not None:
            self.mechanism = PLUS
            self._header = b"p=tls-server-end-point,,"
        elif PLAIN in mechanisms:
            self.mechanism = PLAIN
            # "y": we could have bound, and you did not offer it. A server that did sees that somebody cut the offer.
            self._header = b"y,," if binding is not None else b"n,,"
            binding = None
        else:
            raise TargetFailed(
                f"the target offers no login mechanism that can be used here: {', '.join(map(repr, mechanisms[:8])) or 'none'}",
                f"{PLAIN} is needed" + (f"; {PLUS} needs TLS." if certificate is None else "."),
            )
        self.bound = binding is not None
        self._binding = b64encode(self._header + (binding or b""))
        self._password = saslprep(password)
        self._bare = b"n=" + username.replace(b"=", b"=3D").replace(b",", b"=2C") + b",r="
        self._nonce = newNonce()
        self._known = known
        self._derivation: Derivation | None = None
        self._salted: bytes | None = None
        self._signature: bytes | None = None

    def first(self) -> bytes:
        """@return: client-first-message."""
        return self._header + self._bare + self._nonce

    def prepare(self, serverFirst: bytes) -> Derivation | None:
        """
        Look at the server's first message before answering it.

        @param serverFirst: server-first-message (AuthenticationSASLContinue).
        @return: C{None} when L{respond} will be quick, else what to compute in a thread and to give to L{respond}.
        @raise ProtocolViolation: it is not one, or does not answer ours.
        @raise TargetFailed: its iteration count is out of bounds.
        """
        derivation = self._read(serverFirst)[1]
        if derivation.iterations <= THREAD_ABOVE or self._known.get(derivation) is not None:
            return None
        return derivation

    def respond(self, serverFirst: bytes, salted: bytes | None = None) -> bytes:
        """
        Answer the server's first message.

        @param serverFirst: as for L{prepare}.
        @param salted: result of L{saltedPassword}, where L{prepare} asked for it.
        @return: client-final-message.
        @raise ProtocolViolation: as for L{prepare}, or it came twice.
        @raise TargetFailed: its iteration count is out of bounds.
        """
        if self._derivation is not None:
            raise ProtocolViolation("the target began its SCRAM exchange twice")
        nonce, derivation = self._read(serverFirst)
        if salted is None:
            salted = self._known.get(derivation)
        if salted is None:
            if derivation.iterations > MAX_INLINE:
                raise TargetFailed(
                    f"the target asks for {derivation.iterations} password hash iterations",
                    f"At most {MAX_INLINE} are computed here: lower scram_iterations at the target and set the password again.",
                )
            salted = saltedPassword(*derivation)
        bare = b"c=" + self._binding + b",r=" + nonce
        message = b",".join((self._bare + self._nonce, serverFirst, bare))
        clientKey = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(clientKey).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(clientKey, signature))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        self._derivation, self._salted = derivation, salted
        return bare + b",p=" + b64encode(proof)

    def verify(self, serverFinal: bytes) -> None:
        """
        Check the server's proof; afterwards L{verified} is true and the password is forgotten.

        @param serverFinal: server-final-message (AuthenticationSASLFinal).
        @raise ProtocolViolation: it is malformed or came out of turn.
        @raise TargetFailed: the server refuses us, or does not know the password.
        """
        derivation, salted, signature = self._derivation, self._salted, self._signature
        if derivation is None or salted is None or signature is None:
            raise ProtocolViolation("the target ended its SCRAM exchange out of turn")
        self._salted = self._signature = None
        match = _SERVER_FINAL.fullmatch(serverFinal) if len(serverFinal) <= MAX_MESSAGE else None
        if match is None:
            raise ProtocolViolation("the target's last SCRAM message is malformed")
        kind, value = match.groups()
        if kind == b"e":
            raise TargetFailed(
                f"the target refuses the login: {value[:80].decode('ascii', 'backslashreplace')}",
                "Check the account's user name and password in the gateway's configuration.",
            )
        if not hmac.compare_digest(_base64(value), signature):
            raise TargetFailed(
                "the target could not prove that it knows the account's password: it may be an impostor",
                "Check the target's endpoint, and that its password is the one in the gateway's configuration.",
            )
        self.verified = True
        self._known.add(derivation, salted)
        self._password, self._derivation = b"", derivation._replace(password=b"")

    def _read(self, serverFirst: bytes) -> tuple[bytes, Derivation]:
        match = _SERVER_FIRST.fullmatch(serverFirst) if len(serverFirst) <= MAX_MESSAGE else None
        if match is None:
            raise ProtocolViolation("the target's first SCRAM message is malformed")
        nonce, salt, count = match.groups()
        if not (nonce.startswith(self._nonce) and len(nonce) > len(self._nonce)):
            raise ProtocolViolation("the target's SCRAM nonce does not continue ours")
        iterations = int(count)
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise TargetFailed(
                f"the target asks for {iterations} password hash iterations: not between {MIN_ITERATIONS} and {MAX_ITERATIONS}",
                f"Set scram_iterations at the target to {MIN_ITERATIONS} or more, at most {MAX_ITERATIONS}, and set the password again.",
            )
        return nonce, Derivation(self._password, _base64(salt), iterations)


def _base64(text: bytes) -> bytes:
    try:
        decoded = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        decoded = b""
    if not decoded:
        raise ProtocolViolation("a SCRAM message of the target holds malformed base64")
    return decoded
