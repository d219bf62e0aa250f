from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hoopx.index.entries import BLOCK, PARAMETERS, PAUSE, STREAMS, TEXT, Entries, digest, storable
from hoopx.values import Command, FileTransfer, Notice, Output, Result


def command(at: float, text: str, *parameters: str | None, **more: object) -> Command:
    return Command(at, 0, "sql", text, parameters, sequence=int(at), **more)  # type: ignore[arg-type]


class EntriesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.entries = Entries()

    def found(self) -> list[tuple[str, str, str]]:
        return [(entry.kind, entry.text, entry.parameters) for entry in self.entries.taken()[0].values()]

    def test_counted(self) -> None:
        self.entries.add([command(1, "a"), command(2, "b"), command(3, "a")])
        found, commands = self.entries.taken()
        self.assertEqual(commands, 3)
        self.assertEqual([(one.text, one.count, one.at, one.last, one.sequence) for one in found.values()], [("a", 2, 1, 3, 1), ("b", 1, 2, 2, 2)])
        self.assertEqual(self.entries.taken(), ({}, 0))

    def test_parameters(self) -> None:
        self.entries.add([command(1, "a", "x", None, "y"), command(2, "a", "z"), command(3, "a", "z")])
        self.assertEqual(self.found(), [("command", "a", "x\n\ny"), ("command", "a", "z")])

    def test_clipped(self) -> None:
        self.entries.add([command(1, "x" * (TEXT + 1), "y" * (PARAMETERS + 1), "z")])
        ((_, text, parameters),) = self.found()
        self.assertEqual((len(text), len(parameters)), (TEXT, PARAMETERS))

    def test_verdict(self) -> None:
        self.entries.add([command(1, "drop", verdict="block", guard="no-drop", fields={"reason": "never"})])
        self.assertEqual(self.found(), [("command", "drop", ""), ("event", "block no-drop never", "")])

    def test_errorsOnly(self) -> None:
        error = {"code": "42601", "message": "syntax error", "hint": "think"}
        self.entries.add([Result(1, 0, None, 1, "OK", None, 0.1), Result(2, 0, None, 0, None, error, 0.1), Result(3, 0, None, 0, None, {"severity": "SKIPPED", "message": "no"}, 0.1)])
        self.assertEqual(self.found(), [("result", "42601 syntax error think", "")])

    def test_fileAndEvents(self) -> None:
        self.entries.add([FileTransfer(1, 0, "write", "/etc/passwd", 5, "ab"), Notice(2, 0, "alarm", {"alarm": "odd", "more": {"a": ["b", 7, 1.5, True]}}), Notice(3, 0, "connected", {"address": "x"})])
        self.assertEqual(self.found(), [("file", "write /etc/passwd", "ab"), ("event", "alarm odd b 7", "")])

    def test_outputInLines(self) -> None:
        """Keystroke by keystroke, and still found as words."""
        for number, letter in enumerate("rm -rf /\n"):
            self.entries.add([Output(number / 10, 3, "client", letter, number)])
        self.entries.add([Output(0.2, 3, "target", "removed", 2)])
        self.assertEqual(self.found(), [])
        self.entries.finish()
        self.assertEqual(self.found(), [("output", "rm -rf /\n", ""), ("output", "removed", "")])

    def test_outputInBlocks(self) -> None:
        line = "x" * 99 + "\n"
        for number in range(25):
            self.entries.add([Output(number, 0, "target", line, number)] if number % 5 else [Output(number, 0, "target", line, number)])
        self.entries.finish()
        found = self.entries.taken()[0].values()
        self.assertTrue(all(len(one.text) <= BLOCK + 100 and one.text.endswith("\n") for one in found))

    def test_outputWithoutLines(self) -> None:
        """A screen that is never broken, and one huge piece."""
        self.entries.add([Output(1, 0, "target", f"{'y' * (TEXT - 1)}{number}" * 1, 1) for number in range(3)])
        self.entries.finish()
        self.assertEqual([len(text) for _, text, _ in self.found()], [TEXT, TEXT, TEXT])
        self.entries.add([Output(1, 0, "target", "".join(f"line {number}\n" for number in range(10_000)), 1)])
        self.entries.finish()
        found = self.found()
        self.assertEqual("".join(text for _, text, _ in found), "".join(f"line {number}\n" for number in range(10_000)))
        self.assertTrue(all(len(text) <= TEXT for _, text, _ in found))

    def test_pause(self) -> None:
        self.entries.add([Output(1, 0, "target", "a", 1), Output(2, 0, "target", "b", 2), Output(2.1 + PAUSE, 0, "target", "c", 3)])
        self.entries.finish()
        self.assertEqual([text for _, text, _ in self.found()], ["ab", "c"])

    def test_manyStreams(self) -> None:
        self.entries.add([Output(1, channel, "target", f"{channel}", 1) for channel in range(10 * STREAMS)])
        self.assertEqual(len(self.entries._running), STREAMS)
        self.entries.finish()
        self.assertEqual(len(self.found()), 10 * STREAMS)

    def test_nothing(self) -> None:
        self.entries.add([command(1, ""), command(2, " \n"), object()])
        self.assertEqual(self.found(), [])

    def test_storable(self) -> None:
        self.assertEqual(storable("a\0b\ud800é"), "a\ufffdb?é")
        self.entries.add([command(1, "\ud800")])
        self.assertEqual(self.found(), [("command", "?", "")])

    def test_digest(self) -> None:
        self.assertEqual(len({digest(*each) for each in (("a", "b", ""), ("a", "", "b"), ("ab", "", ""), ("a", "b\0", ""))}), 4)
        self.assertTrue(-(2**63) <= digest("a", "b", "") < 2**63)
