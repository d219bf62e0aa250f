"""
A server that speaks just enough PostgreSQL for idle sessions: everybody is let in, every query has an empty answer.

    python benchmarks/standin.py PORT
"""

from __future__ import annotations

import asyncio
import resource
import struct
import sys

GREETING = (
    b"R" + struct.pack(">II", 8, 0)
    + b"".join(
        b"S" + struct.pack(">I", 4 + len(text)) + text
        for text in (b"server_version\x0015.0\0", b"client_encoding\0UTF8\0", b"standard_conforming_strings\0on\0")
    )
    + b"K" + struct.pack(">III", 12, 1, 2)
    + b"Z" + struct.pack(">I", 5) + b"I"
)  # fmt: skip
EMPTY = b"I" + struct.pack(">I", 4) + b"Z" + struct.pack(">I", 5) + b"I"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        size = struct.unpack(">I", await reader.readexactly(4))[0]
        await reader.readexactly(size - 4)
        writer.write(GREETING)
        while True:
            kind, size = struct.unpack(">cI", await reader.readexactly(5))
            await reader.readexactly(size - 4)
            if kind == b"X":
                break
            writer.write(EMPTY)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024, limit=1024)
    await server.serve_forever()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1])))
