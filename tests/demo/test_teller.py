"""
Tests for L{hoopx.demo.teller}.
"""

import io

from twisted.trial.unittest import SynchronousTestCase

from hoopx.demo.teller import Teller


class TellerTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Away from a terminal there are no escape sequences, and brackets in what others said are no markup."""
        sink = io.StringIO()
        say = Teller(sink)
        say.heading("1. A query")
        say.command('psql -c "SELECT 1"')
        say.command("shop=> \\q\n")
        say.output(" a [bold] \n---\n\n")
        say.note("done")
        self.assertEqual(
            sink.getvalue(), '\n1. A query\n  $ psql -c "SELECT 1"\n  shop=> \\q\n   a [bold]\n  ---\ndone\n'
        )

    def test_table(self) -> None:
        sink = io.StringIO()
        Teller(sink).table("session\tuser\n01\tada@shop.example\n")
        self.assertEqual(sink.getvalue(), "  session  user\n  01       ada@shop.example\n")

    def test_longLines(self) -> None:
        """Lines of others are not broken: they are to be copied."""
        sink = io.StringIO()
        Teller(sink).output("x" * 300)
        self.assertEqual(sink.getvalue(), "  " + "x" * 300 + "\n")
