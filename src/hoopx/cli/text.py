# -*- test-case-name: tests.cli.test_text -*-
"""
What is said on the command line, before any command sees it: text that can be kept and asked for, and nothing left empty by accident.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

import click

MOST: Final = 16_384
"""Characters of one text: a page or several of a note. A shell gives up to 128 KiB, and rows of the audit go to the ledger whole."""

_NO_TEXT: Final = re.compile("[\ud800-\udfff]")


class Text(click.ParamType):
    """
    A text that databases, files and other programs take: no bytes that are no UTF-8, not longer than L{MOST}.

    Bytes that are UTF-8 are text whatever the locale says: with C{LANG=C} Python hands them on undecoded (PEP 383).

    @param empty: whether it may be empty. A name or key that is empty is a variable that a script has not set, and never what was meant.
    """

    name = "text"

    def __init__(self, empty: bool = True) -> None:
        self.empty = empty

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        text = str(value)
        if _NO_TEXT.search(text):
            try:
                text = os.fsencode(text).decode("utf-8")
            except UnicodeError:
                text = self.broken(text, param, ctx)
        if len(text) > MOST:
            self.fail(f"it has {len(text)} characters, and at most {MOST} can be kept. Shorten it, or say where the rest is.", param, ctx)
        if not text and not self.empty:
            self.fail("it is empty. Give a value, or leave it out: is a variable of your script not set?", param, ctx)
        return text

    def broken(self, text: str, param: Any, ctx: Any) -> str:
        """What becomes of bytes that are no text."""
        self.fail("it has bytes that are no text in UTF-8, and can not be kept. Write it anew in UTF-8.", param, ctx)


class Words(Text):
    """A text to look for. A terminal, or a script, may send what is none, and no database takes that: nothing is called so."""

    def broken(self, text: str, param: Any, ctx: Any) -> str:
        return _NO_TEXT.sub("\ufffd", text)  # a question mark would stand for anything


class Filled(click.ParamType):
    """A path, with whatever bytes (file names need not be text), that is not empty."""

    def __init__(self, path: click.Path) -> None:
        self.path = path
        self.name = path.name

    def to_info_dict(self) -> dict[str, Any]:
        return self.path.to_info_dict()

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not value:
            self.fail("it is empty. Give a path, or leave it out: is a variable of your script not set?", param, ctx)
        return self.path.convert(value, param, ctx)


MAY_BE_EMPTY: Final = frozenset({"--note", "--reason", "session"})
"""Texts for people; and no session is called nothing, as whoever looks for it is told."""


def checked(command: click.Command) -> click.Command:
    """
    Look at all that is said to a command, and to those in it: every plain text becomes L{Text}, every path L{Filled}.

    @return: the same.
    """
    for param in command.params:
        if param.type is click.STRING:
            param.type = Text(empty=not MAY_BE_EMPTY.isdisjoint(param.opts))
        elif isinstance(param.type, click.Path):
            param.type = Filled(param.type)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            checked(one)
    return command
