"""
Every benchmark in a short form, and docs/performance.rst's tables from the results.

    python benchmarks/all.py                    # about twelve minutes
    python benchmarks/all.py --long             # more turns, a bigger index, a million statements for the curator: half an hour
    python benchmarks/all.py --quick            # about three minutes: does everything run?
    python benchmarks/all.py --write            # put the tables into docs/performance.rst
"""

from __future__ import annotations

import datetime
import os
import textwrap
import time
import traceback

import bulk
import connect
import curator
import idle
import overhead
import pgbench
import search
import verify
from fixtures import Missing, machine, versions
from options import keep, makeParser

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "performance.rst")
BEGIN, END = ".. measured: begin", ".. measured: end"
"""Between these lines of the page stands what L{table} makes."""

FULL = {
    pgbench: ["--tls", "both", "--seconds", "2", "--pairs", "3"],
    bulk: ["--tls", "both", "--pairs", "2"],
    idle: ["--tls", "both", "--sessions", "1000,5000"],
    connect: ["--tls", "both", "--count", "200"],
    overhead: ["--seconds", "2", "--pairs", "5"],
    curator: ["--seconds", "15", "--pairs", "2", "--sessions", "40", "--statements", "0"],
    search: ["--sessions", "30000"],
    verify: [],
}
LONG = FULL | {
    pgbench: ["--tls", "both", "--seconds", "2", "--pairs", "5"],
    bulk: ["--tls", "both", "--pairs", "5"],
    curator: [],
    search: [],
}
QUICK = {
    pgbench: ["--seconds", "1", "--pairs", "1", "--scale", "1", "--clients", "8", "--tls", "both"],
    bulk: ["--megabytes", "30", "--pairs", "1", "--tls", "both"],
    idle: ["--sessions", "200", "--settle", "1"],
    connect: ["--count", "20", "--tls", "both"],
    overhead: ["--seconds", "1", "--pairs", "1"],
    curator: ["--seconds", "2", "--pairs", "1", "--sessions", "20", "--statements", "0"],
    search: ["--sessions", "2000"],
    verify: ["--megabytes", "30", "--runs", "1"],
}


def main() -> int:
    parser = makeParser(__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.rst")
    parser.add_argument("--only", default="", help="names of benchmarks, with commas")
    arguments = parser.parse_args()
    results: dict = {}
    failed = 0
    for module, options in (QUICK if arguments.quick else LONG if arguments.long else FULL).items():
        name = module.__name__
        if arguments.only and name not in arguments.only.split(","):
            continue
        began = time.monotonic()
        try:
            results[name] = module.measure(module.options().parse_args(options))
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        except Missing as missing:
            print(f"{name}: {missing}")
            failed += 1
        except Exception:
            traceback.print_exc()
            failed += 1
    keep(arguments.json, peers=versions(), **results)
    text = table(results)
    print("\n" + text)
    if arguments.write:
        write(text)
    return 1 if failed else 0


def table(results: dict) -> str:
    """The results as reStructuredText."""
    about = (
        f"Measured on {datetime.date.today().isoformat()}: {machine()}; {versions()}. Client, server and proxy share the "
        "machine; the columns of a line were measured in turns, and ratios are medians of the ratios of each turn."
    )
    parts = [textwrap.fill(about, 120)]
    if "pgbench" in results:
        parts += ["**pgbench**: transactions a second, and CPU time of the proxy per transaction."]
        rows = []
        for one in results["pgbench"]:
            ours, theirs = one.get("hoopx", {}), one["pgbouncer"]
            clients = f"{one['clients']} client{'s' if one['clients'] > 1 else ''}"
            rows.append([
                f"{one['script']}, {one['mode']}, {clients}{', TLS' if one['tls'] else ''}",
                f"{one['direct']['tps']:.0f}" if "direct" in one else "",
                f"{theirs['tps']:.0f}, {theirs['cpu']:.0f} µs",
                f"{ours['tps']:.0f}, {ours['cpu']:.0f} µs" if ours else "",
                f"{ours['tps_ratio']:.2f}" if ours else "",
                f"{ours['cpu_ratio']:.2f}" if ours else "",
            ])  # fmt: skip
        parts += [_listTable(["", "direct", "pgbouncer (session)", "hoopx", "tps to pgbouncer's", "CPU to pgbouncer's"], rows)]
    if "bulk" in results:
        parts += ["**Bulk COPY** of a table: rate, CPU time of the proxy for a MB, and the rate's ratio to direct."]
        rows = [
            [
                f"COPY {one['direction']}, {one['megabytes']:.0f} MB{', TLS' if one['tls'] else ''}",
                f"{one['direct']['rate']:.0f} MB/s",
                *(f"{one[name]['rate']:.0f} MB/s, {one[name]['cpu']:.1f} ms" for name in ("pgbouncer", "hoopx")),
                *(f"{one[name]['ratio']:.2f}" for name in ("pgbouncer", "hoopx")),
            ]
            for one in results["bulk"]
        ]
        parts += [_listTable(["", "direct", "pgbouncer (session)", "hoopx", "pgbouncer to direct", "hoopx to direct"], rows)]
    rows = []
    for one in results.get("idle", ()):
        rows.append([f"memory of an idle session, {one['sessions']} sessions{', TLS' if one['tls'] else ''}", f"{one['kib']:.1f} KiB"])
    for one in results.get("connect", ()):
        text = f"{one['hoopx']['added']:.1f} ms more than direct ({one['direct']['ms']:.1f} ms)"
        rows.append([f"set-up of a session{', TLS' if one['tls'] else ''}", text])
    for one in results.get("overhead", ()):
        rows.append(["CPU time with recording, to the same path without", f"{one['cpu_ratio']:.2f}"])
    for one in results.get("verify", ()):
        text = f"{one['verify']:.0f} MB/s (sha256sum of the same files: {one['sha256sum']:.0f})"
        rows.append([f"verifying recordings of {one['recording']}, one core", text])
    if rows:
        parts += ["**Sessions**", _listTable(["", ""], rows)]
    if "curator" in results:
        parts += curatorTables(results["curator"])
    if "search" in results:
        found = results["search"]
        parts += [
            f"**Search and lists** over {found['sessions']:,} sessions with {found['commands']:,} commands, "
            f"{found['items']:,} of them different "
            f"within their session; the index has {found['mib']:.0f} MiB. Erasing a session takes {found['erase']:.1f} s."
        ]
        rows = [
            [f"{name}: {one['what']}", f"{one['first']:.1f} ms", f"{one['median']:.1f} ms", f"{one['worst']:.1f} ms"]
            for name in ("search", "list")
            for one in found[name]
        ]
        parts += [_listTable(["", "first", "median", "worst"], rows)]
    return "\n\n".join(parts) + "\n"


def curatorTables(found: dict) -> list[str]:
    """@param found: of L{curator.measure}."""
    rows = [
        [
            f"{one['name']}, {one['clients']} client{'s' if one['clients'] > 1 else ''}",
            f"{one['tps_without']:.0f}", f"{one['tps']:.0f}", f"{one['tps_ratio']:.2f}", f"{one['cpu_ratio']:.2f}",
            f"{one['curator']:.0f} µs", f"{one['left']:.0f} MiB, {one['drain']:.0f} s",
        ]
        for one in found["runs"]
    ]  # fmt: skip
    head = ["", "without curator", "with it", "ratio", "CPU of the gateway", "CPU of the curator", "left when it ended, done after"]
    about = (
        "**The curator**: pgbench -S, transactions a second with everything on (ledger, checkpoints, compression, full index), "
        f"against the same gateway without a curator, in turns of {found['runs'][0]['seconds']:.0f} s. CPU of the gateway is a ratio, that "
        f"of the curator for each transaction. Its memory was {found['memory']:.0f} MiB at the most, {found['memory_begin']:.0f} at first, "
        f"over {found['statements']:,} statements."
    )
    opened = [
        [
            "8 clients meanwhile" if one["busy"] else "nothing else meanwhile",
            *(f"{one[name]['ms']:.1f} ms, {one[name]['p95']:.1f} ms" for name in ("uncurated", "hoopx")),
            f"{one['added']:.1f} ms",
        ]
        for one in found["openings"]
    ]
    return [
        textwrap.fill(about, 120),
        _listTable(head, rows),
        "Set-up of a session, with its leaf in the ledger; median, and 95 of 100:",
        _listTable(["", "without curator", "with it", "added"], opened),
    ]


def _listTable(head: list[str], rows: list[list[str]]) -> str:
    lines = [".. list-table::"]
    if any(head):
        lines += ["   :header-rows: 1"]
        rows = [head, *rows]
    lines.append("")
    for row in rows:
        for number, cell in enumerate(row):
            lines.append(f"   {'*' if not number else ' '} - {cell}".rstrip())
    return "\n".join(lines)


def write(text: str) -> None:
    """Replace what stands between the marks. @raise ValueError: there are none."""
    with open(PAGE) as file:
        page = file.read()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no lines {BEGIN!r} and {END!r}")
    with open(PAGE, "w") as file:
        file.write(f"{before}{begin}\n\n{text}\n{end}{after}")


if __name__ == "__main__":
    raise SystemExit(main())
