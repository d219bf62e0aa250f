"""
The harness itself.
"""

from __future__ import annotations

import ssl

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.postgres import debian, embedded


class ServerTests(SynchronousTestCase):
    def test_debian(self) -> None:
        server = debian()
        self.assertEqual(server.look("SELECT current_database(), ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), [("shop", True)])
        context = ssl.create_default_context(cafile=str(server.authority.path))
        self.assertTrue(context.get_ca_certs())
        server.connect(user="legacy").close()

    def test_embedded(self) -> None:
        for version in (16, 18):
            server = embedded(version)
            self.assertEqual(server.look("SHOW server_version_num")[0][0][:2], str(version))
            self.assertEqual(server.look("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), [(False,)])
