# -*- test-case-name: tests.storage.test_names -*-
"""
Names of stored objects: C{<node>/<YYYY>/<MM>/<DD>/<session>/<NNNNNN>.hxr}.
"""

from __future__ import annotations

import os
import re
from typing import Final

LONGEST: Final = 512
"""Characters: half of what S3 takes, so that a prefix has room; ours are about 70."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def checked(name: str) -> str:
    """
    A name that leads nowhere else: no empty part, no C{..}, nothing hidden.

    @raise ValueError:
    """
    if not isName(name):
        raise ValueError(f"not a name of a stored object: {name[:LONGEST]!r}")
    return name


def isName(name: str) -> bool:
    """@return: can it be an object of ours? Others may write into the same store, and call theirs what they like."""
    return len(name) <= LONGEST and _NAME.fullmatch(name) is not None


def objectName(node: str, path: str) -> str:
    """
    @param path: of a segment, C{.../<YYYY>/<MM>/<DD>/<session>/<NNNNNN>.hxr}.
    @return: what it is called in a store.
    @raise ValueError: the path or the node can not be part of a name.
    """
    return checked("/".join((node, *path.split(os.sep)[-5:])))


def ledgerName(node: str, name: str) -> str:
    """
    @param name: of a file of the ledger, such as C{tile/0/000.p/17}.
    @return: what it is called in a store.
    """
    return checked(f"{node}/ledger/{name}")


def checkpointName(node: str, size: int) -> str:
    """@return: what the checkpoint of so many leaves is called in a store."""
    return ledgerName(node, f"checkpoint/{size:012d}")
