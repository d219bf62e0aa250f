# -*- test-case-name: tests.test_service -*-
"""
What a protocol's drop-in declares, in one call.
"""

from __future__ import annotations

from typing import Any

from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from zope.interface import implementer

from hoopx.interfaces import IProtocolRecorder


@implementer(IPlugin, IProtocolRecorder)
class ProtocolRecorder:
    """
    A protocol whose parts are named by dotted names and loaded at their first use, so that a drop-in stays a declaration.

    @param name: the name in the configuration.
    @param summary: one line for C{hoopx protocols}.
    @param conversation: dotted name of an L{hoopx.interfaces.IConversation} class.
    @param view: dotted name of an L{hoopx.interfaces.ISessionView} class.
    @param targetOptions: dotted name of an attrs class, or C{None}.
    @param accountOptions: dotted name of an attrs class, or C{None}.
    @param guardOptions: dotted name of an attrs class, or C{None}.
    @param accountSecrets: names of account keys that hold secret references.
    @param listenerPinned: C{True} when a listener must name its target.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        *,
        conversation: str,
        view: str,
        targetOptions: str | None = None,
        accountOptions: str | None = None,
        guardOptions: str | None = None,
        accountSecrets: tuple[str, ...] = ("password",),
        listenerPinned: bool = False,
    ) -> None:
        self.name = name
        self.summary = summary
        self.accountSecrets = accountSecrets
        self.listenerPinned = listenerPinned
        self._conversation = conversation
        self._view = view
        self._targetOptions = targetOptions
        self._accountOptions = accountOptions
        self._guardOptions = guardOptions

    @property
    def targetOptions(self) -> Any:
        return self._targetOptions and namedAny(self._targetOptions)

    @property
    def accountOptions(self) -> Any:
        return self._accountOptions and namedAny(self._accountOptions)

    @property
    def guardOptions(self) -> Any:
        return self._guardOptions and namedAny(self._guardOptions)

    def conversation(self) -> Any:
        return namedAny(self._conversation)()

    def view(self) -> Any:
        return namedAny(self._view)()

    def serverFactory(self, broker: Any, listener: Any) -> Any:
        return namedAny("hoopx.mitm.Mitm")(broker, listener, self)
