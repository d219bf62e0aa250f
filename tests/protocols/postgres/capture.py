"""
A relay that writes down what a client and a server say to each other, as frames. Makes the fixtures of the view's tests:

    python -m tests.protocols.postgres.capture NAME HOST:PORT -- command...     ({port} in the command is the relay's)

The startup packet is left out, like in a recording.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from hoopx.frames import DATA, START, encode
from hoopx.values import CLIENT, PASSED, TARGET

FOLDER = Path(__file__).parents[2] / "fixtures" / "postgres"


class Relay:
    """Relays one connection after another; C{sessions} has a list of (seconds, side, bytes) each."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.sessions: list[list[tuple[float, int, bytes]]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            session: list[tuple[float, int, bytes]] = []
            self.sessions.append(session)
            threading.Thread(target=self._relay, args=(client, session), daemon=True).start()

    def _relay(self, client: socket.socket, session: list) -> None:
        target = socket.create_connection(self.server)
        startup = self._startup(client)
        if not startup:
            return
        target.sendall(startup)
        begin = time.monotonic()
        while True:
            ready, _, _ = select.select([client, target], [], [])
            for here, there, side in ((client, target, CLIENT), (target, client, TARGET)):
                if here in ready:
                    try:
                        data = here.recv(65536)
                        there.sendall(data)
                    except OSError:
                        data = b""
                    if not data:
                        client.close()
                        target.close()
                        return
                    session.append((time.monotonic() - begin, side, data))

    def _startup(self, client: socket.socket) -> bytes:
        while True:
            head = client.recv(8, socket.MSG_WAITALL)
            if len(head) < 8:
                return b""
            length, code = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
            if code in (80877103, 80877104):
                client.sendall(b"N")
                continue
            return head + client.recv(length - 8, socket.MSG_WAITALL)


def segment(session: list[tuple[float, int, bytes]]) -> bytes:
    """The session as a segment of DATA frames."""
    return START + b"".join(
        encode(int(at * 1e9), number, 0, DATA, side, PASSED, 0, data) for number, (at, side, data) in enumerate(session, 1)
    )


def main() -> None:
    name, server = sys.argv[1:3]
    host, _, port = server.partition(":")
    relay = Relay((host, int(port)))
    subprocess.run([word.replace("{port}", str(relay.port)) for word in sys.argv[4:]], check=False)
    time.sleep(0.3)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.hxr").write_bytes(segment(relay.sessions[0]))
    print(json.dumps({"name": name, "frames": len(relay.sessions[0]), "sessions": len(relay.sessions)}))


if __name__ == "__main__":
    main()
