# -*- test-case-name: tests.cli.test_lost -*-
"""
What the store of the configuration has, also of sessions of which there is nothing in the data directory.
"""

from __future__ import annotations

import os
import time
from itertools import chain
from typing import Any, Final

from attrs import evolve

from hoopx.cli.place import Place as Where
from hoopx.cli.stores import stored
from hoopx.errors import HoopxError
from hoopx.recording.catalogue import Ambiguous, NotFound
from hoopx.recording.elsewhere import Place, atHome, inStore
from hoopx.recording.fetching import Away
from hoopx.storage.errors import StorageError
from hoopx.ulid import ulidTime

ENOUGH: Final = 5
"""Letters of an id: all that begins like that is of the same nine hours, so that not the whole store has to be looked through."""
LENGTH: Final = 26
"""Of an id."""


class Stock:
    """
    What the gateway's store has, as far as it is needed.

    @ivar places: L{hoopx.index.segments.Places}.
    """

    def __init__(self, place: Where) -> None:
        from hoopx.index.segments import Places

        self._place = place
        self._reference = place.settings.recording.store if place.settings.recording.remote else ""
        self._stores: dict[str, Any] = {}
        self._objects: Any = None
        self.places = Places(str(place.data), store=self._reference)

    def alone(self, prefix: str) -> Place | None:
        """
        A session that is not in the data directory, as the store knows it. Only what is of its time is looked through.

        @param prefix: of its id, as far as L{catalogue.find} takes it.
        @return: C{None}: there is none; or it is too short, or there is no store.
        @raise hoopx.recording.catalogue.Ambiguous: several begin like that.
        @raise hoopx.recording.catalogue.NotFound: it was erased.
        @raise Away: the store can not be had.
        """
        wanted = prefix.upper()
        where = _under(wanted) if self._reference and len(wanted) >= ENOUGH else None
        if where is None:
            return None
        try:
            names = self._had().names(f"{self._place.settings.gateway.name}/{where}")
        except (StorageError, OSError) as error:
            raise Away(
                f"there is no session {prefix!r} in {self._place.data}, and the store {self._reference} can not be looked through: {error}"
            ) from None
        found = [each for each in inStore(filter(atHome, names)) if each.session.startswith(wanted)]
        if len(found) > 1:
            raise Ambiguous(prefix, [each.session for each in found[:5]])
        if found and found[0].session in self._erased():
            raise NotFound(f"session {found[0].session} was erased; what the store {self._reference} has of it is not shown")
        return evolve(found[0], store=self._reference) if found else None

    def _had(self) -> Any:
        if self._objects is None:
            self._objects = stored(self._place, self._reference)
        return self._objects

    def look(self) -> str:
        """See which sessions are in the store. @return: why that can not be seen, or C{""}; then it is as it was."""
        if not self._reference:
            return ""
        try:
            names = self._had().names(f"{self._place.settings.gateway.name}/")
        except (StorageError, OSError) as error:
            return f"the store {self._reference} can not be looked through: {error}"
        found = {each.session: each for each in inStore(filter(atHome, names))}
        alone = [session for session in found if not os.path.isdir(self.places.path(session) or "")]
        for session in self._erased().intersection(alone) if alone else ():
            del found[session]
        self.places.stored = found
        return ""

    def _erased(self) -> set[str]:
        """What the ledger here says was erased: its objects may have been put back, from a copy."""
        from hoopx.ledger.leaf import parse
        from hoopx.ledger.reader import LedgerReader

        found = set()
        try:
            reader = LedgerReader(str(self._place.data / "ledger"))
            reader.checkpoint()
            for line in chain((line for _, line in reader.entries()), reader.pending()):
                if b'"erased"' in line:
                    found.add(str(parse(line).get("session")))
        except (HoopxError, OSError, ValueError):  # there is none here, or it is damaged, which hoopx verify tells
            pass
        return found

    def store(self, reference: str) -> Any:
        """@return: what fetches from a store."""
        from hoopx.storage.reading import Patient

        if reference not in self._stores:
            mine = reference == self._reference and self._objects is not None
            self._stores[reference] = Patient(self._objects if mine else stored(self._place, reference))
        return self._stores[reference]

    def gave(self) -> str:
        """@return: why a store was not asked any more, or C{""}."""
        return next((str(each.gave) for each in self._stores.values() if each.gave is not None), "")


def _under(wanted: str) -> str | None:
    """@return: how the names of all objects of such sessions begin, without the node; C{None}: no session's id begins like that."""
    try:
        first, last = (time.gmtime(ulidTime(wanted.ljust(LENGTH, rest))) for rest in "0Z")
    except (ValueError, OverflowError):
        return None
    begin, end = (time.strftime("%Y/%m/%d/", moment) for moment in (first, last))
    return begin + wanted if begin == end else os.path.commonprefix([begin, end])
