# -*- test-case-name: tests.cli.test_harmless -*-
"""
What clients and targets have said, made safe for the terminal of whoever reads it.
"""

from __future__ import annotations

from typing import Final

_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def harmless(text: str, keep: str = "") -> str:
    """
    Text whose every character can be seen and does nothing: control characters (C0, C1: they steer terminals), format characters
    (bidi overrides, zero-width ones: they make a text look like another), separators other than the space, lone surrogates and
    unassigned ones become escapes.

    @param keep: characters that stay, such as C{"\\n\\t"} where lines are wanted.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else _SHORT.get(letter) or _escaped(letter) for letter in text
    )


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
