# -*- test-case-name: tests.cli.test_rendering -*-
"""
A recording's lines (L{hoopx.telling}) for people: statements with parameters, result tables, durations, errors.

All that comes from a recording goes through L{harmless}: a malicious target attacks the auditor's terminal here.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Iterable, Iterator, Mapping, Sequence

from attrs import define, field

from hoopx.cli.harmless import harmless

CELL: Final = 60
"""Characters of one value in a table; the whole value is in C{show --json}."""
LINES: Final = "\n\t"


@define
class Shown:
    """
    One thing as a person sees it; every string is harmless.

    @ivar mark: what kind of thing it is, for its look: C{"command"}, C{"error"}, ...
    @ivar text: its lines.
    @ivar columns: of the table below it, or C{None}; C{rows} with it.
    @ivar foot: the line below the table.
    """

    mark: str
    at: float
    text: list[str] = field(factory=list)
    columns: list[str] | None = None
    rows: list[list[str]] = field(factory=list)
    foot: str = ""


def moment(at: float) -> str:
    """Seconds since session start as C{[hours:]minutes:seconds.milliseconds}."""
    minutes, seconds = divmod(max(0.0, at), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:06.3f}" if hours else f"{minutes:02d}:{seconds:06.3f}"


def lasting(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 60 else moment(seconds)


def quantity(size: int) -> str:
    """Bytes in the unit that suits them."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def shown(line: Mapping[str, Any]) -> Shown:
    """
    @param line: an object of L{hoopx.telling.tell}, or what JSON made of it.
    """
    return _SHOWN.get(str(line.get("kind")), _event)(line)


def exhibit(lines: Iterable[Mapping[str, Any]]) -> Iterator[Shown]:
    """
    A session's lines in order. In a pipeline a result does not follow its command at once: then it says whose it is.
    """
    last: Any = None
    for line in lines:
        item = shown(line)
        number = line.get("number")
        if line.get("kind") == "command":
            last = number
        elif line.get("kind") == "result" and number != last:
            item.text.insert(0, harmless(f"to #{number}:"))
            last = number
        yield item


def _command(line: Mapping[str, Any]) -> Shown:
    number = f"#{line['number']} " if "number" in line else ""
    text = _text(number + str(line.get("text") or "(nothing)"))
    for number, value in enumerate(line.get("parameters") or (), 1):
        text += _text(f"${number} = {_value(value)}")
    verdict = line.get("verdict") or "allow"
    if verdict != "allow":
        why = f" by {line['guard']}" if line.get("guard") else ""
        reason = f": {line['reason']}" if line.get("reason") else ""
        word = {"block": "REFUSED", "hold": "HELD"}.get(verdict, str(verdict))
        text += _text(f"{word}{why}{reason}")
    elif line.get("held"):
        text.append("approved")
    return Shown("command" if verdict == "allow" else "refused", _at(line), text)


def _result(line: Mapping[str, Any]) -> Shown:
    took = lasting(float(line.get("duration") or 0))
    found = Shown("result", _at(line))
    columns, rows = line.get("columns"), int(line.get("rows") or 0)
    error = line.get("error")
    if error:
        found.mark = "skipped" if error.get("severity") == "SKIPPED" else "error"
        found.text = _error(error)
        found.foot = took
        return found
    parts = []
    sample: Sequence[Sequence[str | None]] = line.get("sample") or ()
    if columns is not None or sample:
        found.columns = [harmless(str(name)) for name in (columns if columns is not None else [""] * max(map(len, sample)))]
        found.rows = [[_cell(value) for value in row] for row in sample]
        parts.append(
            f"{rows} row{'' if rows == 1 else 's'}" + (f", the first {len(sample)} are shown" if len(sample) < rows else "")
        )
    if line.get("tag"):
        parts.append(harmless(str(line["tag"])))
    if line.get("suspended"):
        parts.append("more to come")
    found.foot = " · ".join([*parts, took])
    return found


def _error(error: Mapping[str, Any]) -> list[str]:
    if error.get("code"):
        head = f"{error.get('severity') or 'ERROR'} {error['code']}: "
    else:
        head = ""  # not the server's: what the view says of commands without an answer
    text = _text(f"{head}{error.get('message', '')}")
    for name in ("detail", "hint", "where", "constraint"):
        if error.get(name):
            text += _text(f"{name}: {error[name]}")
    return text


def _output(line: Mapping[str, Any]) -> Shown:
    stream = harmless(str(line.get("stream") or ""))
    return Shown("output", _at(line), [f"{stream}> {part}" for part in _text(str(line.get("text") or "").rstrip("\n"))])


def _file(line: Mapping[str, Any]) -> Shown:
    text = f"{line.get('operation')} {line.get('path')}: {quantity(int(line.get('bytes') or 0))}"
    if line.get("sha256"):
        text += f", sha256 {line['sha256']}"
    return Shown("file", _at(line), _text(text))


def _event(line: Mapping[str, Any]) -> Shown:
    event = str(line.get("event") or line.get("kind") or "")
    if event == "done":
        return Shown("event", _at(line), _text(f"end of the session: {line.get('reason')}"))
    if event == "recovered":
        return Shown("error", _at(line), ["the recording ends here with the gateway, not with the session"])
    if event in ("notice", "error"):
        return Shown("error" if event == "error" else "event", _at(line), _error(line))
    fields = {name: value for name, value in line.items() if name not in _PLACE and value is not None and value != ""}
    said = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
    return Shown("event", _at(line), [harmless(f"{event} {said}".rstrip())])


_PLACE: Final = frozenset(("at", "kind", "channel", "sequence", "event", "proof", "signature"))
_SHOWN: Final[Mapping[str, Callable[[Mapping[str, Any]], Shown]]] = {
    "command": _command,
    "result": _result,
    "output": _output,
    "file": _file,
    "event": _event,
}


def _at(line: Mapping[str, Any]) -> float:
    at = line.get("at")
    return float(at) if isinstance(at, (int, float)) else 0.0


def _text(text: str) -> list[str]:
    return harmless(text, LINES).expandtabs(8).split("\n")


def _value(value: Any) -> str:
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    text = harmless(str(value))
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain(one)}" for name, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_plain(one) for one in value) + "]"
    return str(value)


INDENT: Final = " " * 12


def plain(item: Shown) -> Iterator[str]:
    """Lines for a file or a pipe."""
    head = f"{moment(item.at):>10}  "
    for number, text in enumerate(item.text):
        yield ((INDENT if number or item.mark in _BELOW else head) + text).rstrip()
    if item.columns is not None:
        from rich.cells import cell_len

        table = [item.columns, *(row + [""] * (len(item.columns) - len(row)) for row in item.rows)]
        widths = [max(cell_len(row[number]) for row in table) for number in range(len(item.columns))]
        for number, row in enumerate(table):
            cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths))
            yield (INDENT + " | ".join(cells)).rstrip()
            if not number:
                yield INDENT + "-+-".join("-" * width for width in widths)
    if item.foot:
        yield f"{INDENT}({item.foot})"


_BELOW: Final = frozenset(("result", "error", "skipped"))
_STYLES: Final = {
    "command": "bold",
    "refused": "bold red",
    "error": "red",
    "skipped": "yellow",
    "event": "dim",
    "file": "cyan",
    "output": "",
    "result": "",
}


class Screen:
    """
    A terminal.

    @param console: a C{rich.console.Console}.
    """

    def __init__(self, console: Any) -> None:
        self._console = console

    def show(self, item: Shown) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        style = _STYLES.get(item.mark, "")
        show = self._console.print
        for number, line in enumerate(item.text):
            head = INDENT if number or item.mark in _BELOW else f"{moment(item.at):>10}  "
            show(Text.assemble((head, "dim"), (line, style)), soft_wrap=True)
        if item.columns is not None:
            # Text, not str: rich would read "[red]" in a value as markup.
            table = Table(box=SIMPLE_HEAD, pad_edge=False)
            for name in item.columns:
                table.add_column(Text(name), overflow="fold")
            for row in item.rows:
                table.add_row(*(Text(cell, "dim" if cell == "NULL" else "") for cell in row))
            show(Padding(table, (0, 0, 0, len(INDENT))))
        if item.foot:
            show(Text(f"{INDENT}{item.foot}", "dim"), soft_wrap=True)


class Paper:
    """
    A file or a pipe.

    @param write: callable(line).
    """

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write

    def show(self, item: Shown) -> None:
        for line in plain(item):
            self._write(line)


def presenter() -> Screen | Paper:
    """What suits standard output."""
    import click

    from hoopx.cli.output import onTerminal

    if not onTerminal():
        return Paper(click.echo)
    from rich.console import Console

    return Screen(Console(highlight=False))
