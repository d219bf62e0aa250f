# -*- test-case-name: tests.peers.test_harness -*-
"""
pgbouncer in session mode before a server: the yardstick.
"""

from __future__ import annotations

from tests.peers.harness.finding import require
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.postgres import PASSWORDS, Postgres
from tests.peers.harness.processes import Process, folder, serverUser

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = session
max_client_conn = 300
default_pool_size = 100
ignore_startup_parameters = extra_float_digits,options
server_tls_sslmode = {tls}
logfile =
"""


class Bouncer:
    """@ivar port: on 127.0.0.1."""

    def __init__(self, server: Postgres) -> None:
        self.port = freePort()
        where = folder("bouncer", serverUser())
        (where / "users").write_text("".join(f'"{user}" "{password}"\n' for user, password in PASSWORDS.items()))
        tls = "disable" if server.authority is None else "require"
        (where / "pgbouncer.ini").write_text(_CONFIGURATION.format(server=server, port=self.port, folder=where, tls=tls))
        for each in where.iterdir():
            each.chmod(0o644)  # whatever our umask is: it is not we who read them
        self.process = Process([require("pgbouncer"), str(where / "pgbouncer.ini")], where / "log", serverUser())
        self.process.ready(lambda: answers(self.port), "pgbouncer")

    def stop(self) -> None:
        self.process.stop()
