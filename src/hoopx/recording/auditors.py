# -*- test-case-name: tests.recording.test_auditors -*-
"""
The auditors' keys, as the C{age} tool makes them (https://age-encryption.org/v1): whom recordings are encrypted to, and who can read
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from hoopx.errors import HoopxError

LARGEST: Final = 64 * 1024
"""Bytes of a key file: an identity is 74 of them, and nobody has hundreds."""
SECRET: Final = "AGE-SECRET-KEY-"


class KeyProblem(HoopxError):
    """A key can not be used. The text never holds it."""


def recipients(texts: Iterable[str]) -> list[Any]:
    """
    @param texts: public keys, C{age1...}.
    @return: what pyrage encrypts to.
    @raise KeyProblem: one is none; the text says which, by its place.
    """
    found = []
    for index, text in enumerate(texts):
        said = problem(text)
        if said is not None:
            raise KeyProblem(f"recipient {index + 1}: {said}")
        found.append(_recipient(text))
    return found


def problem(text: str) -> str | None:
    """@return: why a text is no recipient, or C{None} when it is one."""
    import pyrage

    if text.strip().upper().startswith(SECRET):
        return "this is a secret key, and now known to whoever reads this file: make a new one, and put its public half (age1...) here"
    if text.startswith("ssh-"):
        return 'is an SSH key; recordings are encrypted to age keys: make one with age-keygen, and put its "age1..." here'
    try:
        _recipient(text)
    except (pyrage.RecipientError, ValueError):
        return 'expected an age public key, such as "age1..." (62 letters and digits), from age-keygen'
    return None


def _recipient(text: str) -> Any:
    import pyrage

    return pyrage.x25519.Recipient.from_str(text)


def identities(paths: Sequence[str]) -> list[Any]:
    """
    Read key files as C{age-keygen} writes them: one C{AGE-SECRET-KEY-1...} a line, comments, empty lines.

    @return: what pyrage decrypts with.
    @raise KeyProblem: a file can not be read, or holds no identity. The text names the file and the line.
    """
    return [identity for path in paths for identity in _identities(path)]


def _identities(path: str) -> list[Any]:
    import pyrage

    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise KeyProblem(f"the identity {path} can not be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise KeyProblem(f"{path} is longer than {LARGEST} bytes: no key file")
    if raw.startswith((b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE")):
        raise KeyProblem(f"the identity {path} is encrypted itself: decrypt it first, with age -d")
    found = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            found.append(pyrage.x25519.Identity.from_str(line))
        except (pyrage.IdentityError, ValueError):
            raise KeyProblem(f"{path}: line {number} is no age identity (AGE-SECRET-KEY-1...)") from None
    if not found:
        raise KeyProblem(f"{path} holds no age identity (AGE-SECRET-KEY-1...)")
    return found
