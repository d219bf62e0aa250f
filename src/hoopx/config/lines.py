# -*- test-case-name: tests.config.test_lines -*-
"""
Where a key stands in a TOML text (TOML 1.0), for error messages.

The text has been accepted by a TOML parser before: this one checks nothing, it only counts lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

Path = tuple[str | int, ...]
"""Keys and indices from the top: C{("listeners", 0, "endpoint")}."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")


def locate(text: str) -> dict[Path, int]:
    """@return: 1-based line of every key, table and array item: of its key, or where an item of an array begins."""
    return _Scanner(text).document()


def lineOf(found: Mapping[Path, int], path: Sequence[str | int]) -> int | None:
    """@return: the line of a path, or of the nearest thing around it, or C{None}."""
    for end in range(len(path), 0, -1):
        line = found.get(tuple(path[:end]))
        if line is not None:
            return line
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        # Arrays of tables: how many have begun.
        self.begun: dict[Path, int] = {}
        self._counted = 0
        self._line = 1

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self.skip(_BLANK) < len(self.text):
            before = self.at
            if self.text.startswith("[", self.at):
                table = self.header()
            else:
                self.pair(table)
            if self.at == before:
                break
        return self.found

    def header(self) -> Path:
        line = self.line()
        several = self.text.startswith("[[", self.at)
        self.at += 2 if several else 1
        keys = self.keys()
        self.at += 2 if several else 1
        path: Path = ()
        for position, key in enumerate(keys):
            path += (key,)
            last = position == len(keys) - 1
            self.found.setdefault(path, line)
            if several and last:
                self.begun[path] = self.begun.get(path, 0) + 1
            if path in self.begun:
                path += (self.begun[path] - 1,)
                self.found.setdefault(path, line)
        if not several:
            # A table may have been named by its children before: its own header is the better place.
            self.found[path] = line
        return path

    def pair(self, table: Path) -> None:
        line = self.line()
        path = table
        for key in self.keys():
            path += (key,)
            self.found.setdefault(path, line)
        self.at += 1
        self.skip(_SPACE)
        self.value(path)

    def keys(self) -> list[str]:
        """A dotted key; stops behind the space that follows it."""
        keys = []
        while True:
            self.skip(_SPACE)
            quoted = _STRING.match(self.text, self.at)
            if quoted:
                keys.append(_unquoted(quoted.group()))
                self.at = quoted.end()
            else:
                begin = self.at
                keys.append(self.text[begin : self.skip(_BARE_KEY)])
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def value(self, path: Path) -> None:
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self.array(path)
        elif first == "{":
            self.table(path)
        elif first in ("'", '"'):
            self.skip(_STRING)
        else:
            self.skip(_SCALAR)

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self.skip(_BLANK) < len(self.text) and self.text[self.at] != "]":
            self.found.setdefault((*path, index), self.line())
            self.value((*path, index))
            self.skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
                index += 1
            elif not self.text.startswith("]", self.at):
                return
        self.at += 1

    def table(self, path: Path) -> None:
        self.at += 1
        while self.skip(_BLANK) < len(self.text) and self.text[self.at] != "}":
            self.pair(path)
            self.skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
            elif not self.text.startswith("}", self.at):
                return
        self.at += 1

    def skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return self.at

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1]
    return re.sub(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", _unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "uU":
        return chr(int(code[1:], 16))
    return {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}.get(code, code)
