"""
What every benchmark needs: PostgreSQL, pgbouncer and hoopx, started on free loopback ports in a directory of their own, and the
means to measure them. Everything a fixture starts it ends.
"""

from __future__ import annotations

import glob
import os
import platform
import pwd
import re
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone

HOOPX = [sys.executable, "-c", "from hoopx.cli.main import main; main()"]
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
TICK = os.sysconf("SC_CLK_TCK")
PASSWORD = "bench-password"
READY = 30.0
"""Seconds a server has to listen."""


class Missing(Exception):
    """A program that the benchmark compares with is not installed; says which package has it."""


def program(name: str, package: str) -> str:
    """@return: the path of a program. @raise Missing: it is not there."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    path = found[-1] if found else shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if not path:
        raise Missing(f"{name} is not installed: apt-get install {package}")
    return path


def freePort() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def waitFor(port: int, process: subprocess.Popen | None, log: str) -> None:
    """Wait until somebody listens. @raise RuntimeError: with the end of the log, when nobody does."""
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.05)
    with open(log, errors="replace") as lines:
        raise RuntimeError(f"nothing listens on port {port}:\n" + "".join(lines.readlines()[-15:]))


def user() -> dict:
    """Arguments for L{subprocess} to run as C{postgres}, which servers of PostgreSQL want instead of root."""
    if os.getuid():
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        raise Missing("there is no user postgres: apt-get install postgresql") from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def owned(path: str) -> str:
    if not os.getuid():
        shutil.chown(path, "postgres", "postgres")
    return path


def end(process: subprocess.Popen, how: int = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Bench:
    """
    A directory, a certificate authority and the servers of one run, to be used in C{with}.

    @ivar directory: everybody may enter it.
    @ivar authority: PEM file of the authority that signed C{server.pem} (for 127.0.0.1 and localhost).
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.pgPort = 0
        self.postgres = 0

    def __enter__(self) -> Bench:
        # Recordings and databases on the disk, not in memory: /var/tmp.
        base = os.environ.get("HOOPX_BENCH_DIR") or "/var/tmp"
        self.directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hoopx-bench-", dir=base))
        os.chmod(self.directory, 0o755)
        self.authority, self.certificate, self.key = _certificates(self.directory)
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.__exit__(*problem)

    def path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    def start(self, name: str, argv: list[str], port: int, how: int = signal.SIGTERM, **more: object) -> subprocess.Popen:
        """Start a server and wait until it listens. Its output goes to C{name.log}."""
        log = self.path(f"{name}.log")
        with open(log, "ab") as output:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **more)  # type: ignore[call-overload]
        self._stack.callback(end, process, how)
        waitFor(port, process, log)
        return process

    # PostgreSQL

    def startPostgres(self, scale: int = 0, connections: int = 100) -> None:
        """
        PostgreSQL with a user and a database C{bench}, TLS and SCRAM, without fsync.

        @param scale: of pgbench's tables, or 0 for none.
        """
        initdb, server = program("initdb", "postgresql"), program("postgres", "postgresql")
        home = owned(_made(self.path("postgres")))
        data = os.path.join(home, "data")
        with open(os.path.join(home, "password"), "w") as file:
            file.write(PASSWORD)
        owned(file.name)
        subprocess.run(
            [initdb, "-D", data, "-U", "bench", "-A", "scram-sha-256", "--pwfile", file.name, "--no-sync",
             "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **user(),
        )  # fmt: skip
        certificate, key = os.path.join(home, "server.pem"), os.path.join(home, "server.key")
        shutil.copy(self.certificate, owned(_touched(certificate)))
        shutil.copyfile(self.key, owned(_touched(key, 0o600)))
        self.pgPort = freePort()
        settings = {
            "port": self.pgPort, "listen_addresses": "127.0.0.1", "unix_socket_directories": home, "fsync": "off",
            "synchronous_commit": "off", "max_connections": connections, "shared_buffers": "128MB", "ssl": "on",
            "ssl_cert_file": certificate, "ssl_key_file": key, "max_wal_size": "4GB", "checkpoint_timeout": "1h",
            "autovacuum": "off",
        }  # fmt: skip
        argv = [server, "-D", data]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        process = self.start("postgres", argv, self.pgPort, signal.SIGINT, cwd="/", **user())
        self.postgres = process.pid
        self.psql("create database bench", database="postgres", retry=True)
        if scale:
            self.run([program("pgbench", "postgresql-contrib"), "-i", "-q", "-I", "dtGvp", "-s", str(scale), "bench"], self.pgPort)

    def environment(self, port: int, password: str = PASSWORD, tls: bool = False) -> dict:
        """The environment by which libpq's programs find a server."""
        return {
            **os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "bench", "PGPASSWORD": password,
            "PGDATABASE": "bench",
            "PGSSLMODE": "require" if tls else "disable", "PGCONNECT_TIMEOUT": "20",
        }  # fmt: skip

    def run(self, argv: list[str], port: int, password: str = PASSWORD, tls: bool = False, timeout: float = 300, **more: object) -> str:
        """Run a client program. @raise RuntimeError: it failed; says what it said."""
        done = subprocess.run(
            argv,
            env=self.environment(port, password, tls),
            capture_output=True,
            text=True,
            timeout=timeout,
            **more,
        )  # type: ignore[call-overload]
        if done.returncode:
            raise RuntimeError(f"{shlex.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout + done.stderr

    def psql(
        self, text: str, port: int = 0, database: str = "bench", password: str = PASSWORD, tls: bool = False, retry: bool = False
    ) -> str:
        argv = [program("psql", "postgresql-client"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text, database]
        deadline = time.monotonic() + READY
        while True:
            try:
                return self.run(argv, port or self.pgPort, password, tls)
            except RuntimeError:
                if not retry or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    # What is measured

    def direct(self, tls: bool = False) -> Contender:
        return Contender("direct", self.pgPort, PASSWORD, 0, tls)

    def pgbouncer(self, tls: bool = False) -> Contender:
        """pgbouncer in session mode: SCRAM towards clients and server; with C{tls} on both hops."""
        home = owned(_made(self.path("pgbouncer-tls" if tls else "pgbouncer")))
        port = freePort()
        users, ini = os.path.join(home, "users.txt"), os.path.join(home, "pgbouncer.ini")
        with open(users, "w") as file:
            file.write(f'"bench" "{PASSWORD}"\n')
        lines = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
            "auth_file": users,
            "pool_mode": "session", "max_client_conn": 1000, "default_pool_size": 100, "server_reset_query": "DISCARD ALL",
            "ignore_startup_parameters": "extra_float_digits", "log_connections": 0, "log_disconnections": 0,
        }  # fmt: skip
        if tls:
            certificate, key = os.path.join(home, "server.pem"), os.path.join(home, "server.key")
            shutil.copy(self.certificate, owned(_touched(certificate)))
            shutil.copyfile(self.key, owned(_touched(key, 0o600)))
            lines |= {
                "client_tls_sslmode": "require", "client_tls_cert_file": certificate, "client_tls_key_file": key,
                "server_tls_sslmode": "verify-ca", "server_tls_ca_file": self.authority,
            }  # fmt: skip
        with open(ini, "w") as file:
            file.write(f"[databases]\nbench = host=127.0.0.1 port={self.pgPort} dbname=bench\n[pgbouncer]\n")
            file.writelines(f"{name} = {value}\n" for name, value in lines.items())
        owned(users), owned(ini)
        process = self.start(os.path.basename(home), [program("pgbouncer", "pgbouncer"), "-q", ini], port, signal.SIGINT, cwd="/", **user())
        return Contender("pgbouncer", port, PASSWORD, process.pid, tls)

    def other(self, name: str, command: str) -> Contender:
        """Any program: C{{listen}} and C{{target}} of the command are the ports."""
        port = freePort()
        argv = shlex.split(command.format(listen=port, target=self.pgPort))
        process = self.start(name, argv, port, cwd=_made(self.path(name)))
        return Contender(name, port, PASSWORD, process.pid, False)

    def hoopx(
        self, tls: bool = False, reactor: str = "hoopx", entry: list[str] | None = None, name: str = "hoopx", trust: bool = False
    ) -> Contender:
        """
        A gateway that records everything, with one grant for one token.

        @param trust: the target asks for no password, and speaks no TLS.
        @param entry: another program than C{twistd ... hoopx}, which takes C{--config FILE}.
        """
        home = _made(self.path(name + ("-tls" if tls else "")))
        port = freePort()
        config = os.path.join(home, "hoopx.toml")
        with open(os.path.join(home, "password"), "w") as file:
            file.write(PASSWORD)
        os.chmod(file.name, 0o600)
        with open(config, "w") as file:
            file.write(
                CONFIG.format(
                    port=port, target=self.pgPort, require="true" if tls else "false",
                    tls=f'authorities = "{self.authority}"' if tls and not trust else 'tls = "off"',
                    trust="trust = true" if trust else "",
                    certificate=self.certificate, key=self.key,
                )
            )  # fmt: skip
        issued = subprocess.run(
            [*HOOPX, "--config", config, "tokens", "issue", "--user", "bench@example.com", "--ttl", "8h"],
            cwd=home, capture_output=True, text=True,
        )  # fmt: skip
        if issued.returncode:
            raise RuntimeError(f"hoopx tokens issue: {issued.stderr.strip()}")
        token = issued.stdout.strip()
        argv = entry or [*TWISTD, "-n", "--pidfile=", "--reactor", reactor, "hoopx"]
        process = self.start(os.path.basename(home), [*argv, "--config", config], port, cwd=home)
        return Contender(name, port, token, process.pid, tls, home)


CONFIG = """
[gateway]
name = "bench"
data = "data"
idle_timeout = "30m"
max_sessions = 20000
disk_reserve = "1MiB"
disk_refuse_below = "1MiB"

[tls]
certificate = "{certificate}"
private_key = "{key}"

[[listeners]]
protocol = "postgres"
endpoint = "tcp:{port}:interface=127.0.0.1"
require_tls = {require}

[identity.tokens]

[targets.bench]
protocol = "postgres"
endpoint = "tcp:127.0.0.1:{target}"
database = "bench"
{tls}
{trust}
  [targets.bench.accounts.bench]
  username = "bench"
  password = {{ file = "password" }}

[[grants]]
name = "bench"
users = ["bench@example.com"]
targets = ["bench"]
"""


class Contender:
    """
    One way to the database.

    @ivar pid: of the process whose CPU time counts, or 0 for none (direct).
    @ivar home: the gateway's directory, or C{None}.
    """

    def __init__(self, name: str, port: int, password: str, pid: int, tls: bool, home: str | None = None) -> None:
        self.name = name
        self.port = port
        self.password = password
        self.pid = pid
        self.tls = tls
        self.home = home

    def cpu(self) -> float:
        """@return: seconds of CPU the process has used by now, children that have ended included."""
        return cpuOf(self.pid) if self.pid else 0.0

    def curator(self) -> list[int]:
        """@return: process ids of a gateway's curator and of its index's process, as far as there are any."""
        found = [pid for pid in childrenOf(self.pid) if "hoopx.curator" in _commandOf(pid)]
        return found + [child for pid in found for child in childrenOf(pid)]

    def memory(self, kind: str = "Pss") -> float:
        """@return: KiB of C{kind} (Pss, Private_Dirty, Rss...) in /proc/PID/smaps_rollup."""
        with open(f"/proc/{self.pid}/smaps_rollup") as file:
            return float(re.search(rf"^{kind}:\s+(\d+)", file.read(), re.MULTILINE).group(1))  # type: ignore[union-attr]


def cpuOf(pid: int) -> float:
    """@return: seconds of CPU a process has used by now, children that have ended included."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICK


def childrenOf(pid: int) -> list[int]:
    """@return: process ids of a process's children, whichever thread has started them."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path) as file:
            found += [int(child) for child in file.read().split()]
    return found


def _commandOf(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:  # it has ended
        return ""


def median(values: list[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    """What the figures were measured on, in a line."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Linux {'.'.join(platform.release().split('.')[:2])}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def versions() -> str:
    """The peers' versions, in a line."""
    server = subprocess.run([program("postgres", "postgresql"), "--version"], capture_output=True, text=True).stdout
    pooler = subprocess.run([program("pgbouncer", "pgbouncer"), "--version"], capture_output=True, text=True).stdout
    return ", ".join(re.sub(r"\s*\(.*?\)", "", text.strip().splitlines()[0]) for text in (server, pooler) if text.strip())


@contextmanager
def clocked():
    """C{with clocked() as took}: afterwards C{took[0]} is how many seconds it took."""
    took = [0.0]
    began = time.perf_counter()
    yield took
    took[0] = time.perf_counter() - began


def _made(path: str) -> str:
    os.makedirs(path, exist_ok=True)
    return path


def _touched(path: str, mode: int = 0o644) -> str:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, mode))
    return path


def _certificates(directory: str) -> tuple[str, str, str]:
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.now(timezone.utc)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def begun(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("bench authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
        )

    authorityKey, serverKey = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    basic = x509.BasicConstraints(ca=True, path_length=None)
    authority = begun("bench authority", authorityKey).add_extension(basic, True).sign(authorityKey, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    server = begun("localhost", serverKey).add_extension(names, False).sign(authorityKey, hashes.SHA256())
    pem = serialization.Encoding.PEM
    key = serverKey.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths = []
    for name, data in (("ca.pem", authority.public_bytes(pem)), ("server.pem", server.public_bytes(pem)), ("server.key", key)):
        paths.append(os.path.join(directory, name))
        with open(paths[-1], "wb") as file:
            file.write(data)
    return paths[0], paths[1], paths[2]
