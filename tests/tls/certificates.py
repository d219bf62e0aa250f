"""
Authorities and certificates for the tests, good and bad.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(1)


def pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class TestAuthority:
    """@ivar pem: path of its certificate."""

    def __init__(self, directory: str, name: str = "test authority") -> None:
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            x509.CertificateBuilder(self.name, self.name, self.key.public_key(), 1, NOW - DAY, NOW + 100 * DAY)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = os.path.join(directory, name.replace(" ", "-") + ".pem")
        with open(self.pem, "wb") as file:
            file.write(self.certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        *names: str,
        file: str = "leaf",
        begin: datetime.datetime = NOW - DAY,
        end: datetime.datetime = NOW + DAY,
        common: str = "leaf",
        use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        selfSigned: bool = False,
    ) -> tuple[str, str]:
        """@return: paths of certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        builder = x509.CertificateBuilder(
            subject if selfSigned else self.name, subject, key.public_key(), x509.random_serial_number(), begin, end
        ).add_extension(x509.ExtendedKeyUsage([use]), False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), False)
        certificate = builder.sign(key if selfSigned else self.key, hashes.SHA256())
        paths = os.path.join(self.directory, file + ".pem"), os.path.join(self.directory, file + ".key")
        for path, data in zip(paths, (certificate.public_bytes(Encoding.PEM), pem(key))):
            with open(path, "wb") as opened:
                opened.write(data)
        return paths


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Peer:
    """
    The other side: OpenSSL itself, in memory.

    @ivar said: plaintext it has received.
    @ivar ended: it has received close_notify.
    @ivar error: what OpenSSL said.
    """

    def __init__(self, context: ssl.SSLContext, serverSide: bool, name: str | None = None) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, serverSide, None if serverSide else name)
        self.said = b""
        self.ended = self.done = False
        self.error: Exception | None = None

    def feed(self, data: bytes) -> None:
        if data:
            self.incoming.write(data)
        if self.error is not None:
            return
        try:
            if not self.done:
                self.tls.do_handshake()
                self.done = True
            while not self.ended:
                piece = self.tls.read(65536)
                self.ended = not piece
                self.said += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            self.error = error

    def write(self, data: bytes) -> None:
        self.tls.write(data)

    def end(self) -> None:
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass


class Wire:
    """A transport in memory: what is written to it is kept."""

    def __init__(self) -> None:
        self.written = b""
        self.calls: list = []
        self.protocol = None
        self.producer = None

    def write(self, data: bytes) -> None:
        assert type(data) is bytes and data
        assert "loseConnection" not in self.calls, "written after the end"
        self.written += data

    def take(self) -> bytes:
        data, self.written = self.written, b""
        return data

    def registerProducer(self, producer, streaming) -> None:
        self.producer = (producer, streaming)

    def unregisterProducer(self) -> None:
        self.producer = None

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)

        def called(*arguments):
            self.calls.append(name if not arguments else (name, *arguments))
            return name

        return called
