# -*- test-case-name: tests.recording.test_elsewhere -*-
"""
Sessions whose segments are not in their directory any more, but in a store; and those of which there is nothing else.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from attrs import frozen

from hoopx.recording.files import openRegular
from hoopx.storage.errors import NotStored
from hoopx.ulid import ulidTime

MARKER: Final = "stored.json"
"""In the directory of a session whose segments are only in the store: C{session}, C{store}, C{objects} (file name -> object), C{sizes}
(file name -> bytes of the object), C{summary}: what a list of sessions tells of it."""
LARGEST: Final = 1 << 24
"""Bytes of a marker: some 200,000 segments."""

_SEGMENT: Final = re.compile(r"[0-9]{6,}\.hxr")
_HOME: Final = re.compile(r"[^/]+/([0-9]{4}/[0-9]{2}/[0-9]{2})/([0-9A-Z]{26})/[0-9]{6,}\.hxr")
_OBJECT: Final = re.compile(r"(?:.*/)?([0-9A-Z]{26})/([0-9]{6,}\.hxr)")


@frozen
class Place:
    """
    Where a session is.

    @ivar path: its directory, or C{None}: there is none.
    @ivar objects: file name -> name in the store, of segments that may not be in the directory.
    @ivar store: which store that is, in the marker's words.
    @ivar sizes: file name -> bytes of the object, as far as the marker says them.
    @ivar summary: what the marker keeps of the session, or C{{}}.
    """

    session: str
    path: str | None
    objects: Mapping[str, str] = {}
    store: str = ""
    sizes: Mapping[str, int] = {}
    summary: Mapping[str, Any] = {}


def placed(path: str) -> Place:
    """
    @param path: a session's directory.
    @raise ValueError: its marker is none.
    """
    session = os.path.basename(os.path.abspath(path))
    try:
        with open(openRegular(os.path.join(path, MARKER), follow=False), "rb") as file:
            said = json.loads(file.read(LARGEST))
    except FileNotFoundError:
        return Place(session, path)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(said, dict) or not isinstance(said.get("objects"), dict):
        raise ValueError("it says nothing of objects")
    objects = {name: str(where) for name, where in said["objects"].items() if _SEGMENT.fullmatch(name)}
    sizes, summary = ({} if not isinstance(said.get(key), dict) else said[key] for key in ("sizes", "summary"))
    sizes = {name: size for name, size in sizes.items() if name in objects and isinstance(size, int) and size >= 0}
    return Place(session, path, objects, str(said.get("store", "")), sizes, summary)


def inStore(names: Iterable[str]) -> list[Place]:
    """
    @param names: of all objects of a store.
    @return: the sessions that they are of. Of two objects that have one segment's name the one counts that lies where a gateway puts it.
    """
    found: dict[str, dict[str, str]] = {}
    for name in names:
        match = _OBJECT.fullmatch(name)
        if match is not None:
            objects = found.setdefault(match[1], {})
            if match[2] not in objects or (atHome(name) and not atHome(objects[match[2]])):
                objects[match[2]] = name
    return [Place(session, None, objects) for session, objects in sorted(found.items())]


def atHome(name: str) -> bool:
    """Does an object lie where a gateway puts it (L{hoopx.storage.names.objectName})? Others may write into the same store."""
    match = _HOME.fullmatch(name)
    try:
        return match is not None and time.strftime("%Y/%m/%d", time.gmtime(ulidTime(match[2]))) == match[1]
    except ValueError:
        return False


def standIn(place: Place, top: str) -> str:
    """
    Make a directory that stands for a session of which there is none: with a marker, as if its segments had been there once.

    @param top: where; a folder of the reader's own.
    @return: the directory.
    """
    path = os.path.join(top, place.session)
    os.mkdir(path, 0o700)
    with open(os.path.join(path, MARKER), "w") as file:
        json.dump({"session": place.session, "store": place.store, "objects": dict(place.objects)}, file)
    return path


def away(place: Place) -> list[str]:
    """@return: segments that are in the store alone."""
    return sorted(name for name in place.objects if place.path is None or not os.path.exists(os.path.join(place.path, name)))


@contextmanager
def together(place: Place, store: Any) -> Iterator[str]:
    """
    All of a session in one directory, for as long as it is looked at: no more than one session's segments are on the disk a second time.

    @param store: C{fetch(object name, path)}.
    @raise OSError: and L{hoopx.storage.errors.StorageError}: what can not be fetched. An object that is not in the store is left out.
    """
    missing = away(place)
    if not missing:
        yield place.path or ""
        return
    with tempfile.TemporaryDirectory(prefix="hoopx-") as top:
        folder = os.path.join(top, place.session)
        os.mkdir(folder)
        for name in os.listdir(place.path) if place.path is not None else ():
            if name.endswith(".hxr"):
                os.symlink(os.path.join(os.path.abspath(str(place.path)), name), os.path.join(folder, name))
        for name in missing:
            try:
                store.fetch(place.objects[name], os.path.join(folder, name))
            except (FileNotFoundError, NotStored):
                continue
        yield folder
