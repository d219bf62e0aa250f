# -*- test-case-name: tests.api.test_socket -*-
"""
What the API asks of the gateway.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IControl(Interface):
    """The running gateway, as its operator sees it. Every method is called on the reactor's thread."""

    def status():
        """
        @return: dict for C{hoopx status}: C{version, node, uptime} (seconds), C{sessions} (how many live), C{listeners} (list of
            C{{"protocol", "endpoint", "address"}} with the real port in the address C{"host:port"}), C{disk} (why nothing can be
            recorded, or C{None}), C{state} and C{audit} (why the one can not be asked, the other not be written, or C{None}),
            C{recordings} (path), C{counters} (dict).
        """

    def liveSessions():
        """@return: list of dicts like those of C{hoopx sessions list --json}, newest first."""

    def kill(session, reason, by):
        """
        End a live session.

        @param session: its id.
        @param reason: the operator's words, C{""} for none.
        @param by: who asks, for the recording.
        @return: C{False} when no such session lives.
        """

    def reload():
        """
        Read the configuration again.

        @return: Deferred[list of str]: what changed, and what needs a restart; fails with
            L{hoopx.errors.ConfigurationError}, and then nothing has changed.
        """

    def issueToken(user, groups, kind, actor, targets, ttl, note):
        """@return: Deferred[(token, id)], see L{hoopx.identity.tokens.Tokens.issue}."""

    def listTokens():
        """@return: Deferred[list of dict], see L{hoopx.identity.tokens.Tokens.issued}."""

    def revokeTokens(id, user):
        """
        Revoke, and end the sessions at once.

        @param id: a token's id, or C{None}.
        @param user: whose tokens, or C{None}.
        @return: Deferred[list of ids], see L{hoopx.identity.tokens.Tokens.revoke}.
        """

    def runRetention(by, dry, confirm):
        """
        Erase what need not be kept any longer.

        @param by: who asks, for the audit.
        @param dry: only say what would be erased.
        @param confirm: the person says that the clock is right.
        @return: Deferred[list of dict], see L{hoopx.retention.running.Retention.run}; fails with L{hoopx.errors.HoopxError}.
        """

    def audit(actor, action, subject, details):
        """@return: Deferred[None], see L{hoopx.state.audit.Audit.write}."""

    def unaudited(actor, action, subject, details):
        """It is done although the audit could not be written: see L{hoopx.state.audit.Audit.late}."""


class ITail(Interface):
    """A live session's objects, as they come. Made by the C{tail} callable the API is given: C{tail(session id)}."""

    behind = Attribute("C{True} when there was more than the last C{read} took.")

    def read():
        """
        Take what has come since the last call.

        @return: list of str: JSON objects, one a line, at most some hundred; empty when there is nothing yet; C{None} at the end
            of the session. Or a Deferred of it.
        """

    def close():
        """Nobody reads any more."""
