# -*- test-case-name: tests.cli.test_main -*-
"""
The C{hoopx} command: global options, and commands that are imported when they are used.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

import hoopx
from hoopx.cli.harmless import harmless
from hoopx.cli.output import EXIT_NO, EXIT_USAGE, complain, say
from hoopx.cli.place import Place
from hoopx.cli.text import checked
from hoopx.errors import ConfigurationError, HoopxError, told


class Lazy(NamedTuple):
    """Where a command is (C{module:attribute}) and its line in C{hoopx --help}, told without importing it."""

    where: str
    summary: str


COMMANDS: Final[Mapping[str, Lazy]] = {
    "demo": Lazy("hoopx.cli.demo:command", "Everything on one machine with a real PostgreSQL: a guided tour."),
    "init": Lazy("hoopx.cli.init:command", "Write a commented hoopx.toml and the folders it speaks of."),
    "check": Lazy("hoopx.cli.check:command", "Tell every error in the configuration, and what to do about it."),
    "protocols": Lazy("hoopx.cli.protocols:command", "List the protocols that are installed."),
    "reload": Lazy("hoopx.cli.reload:command", "Make the running gateway read its configuration again."),
    "status": Lazy("hoopx.cli.status:command", "Show how the running gateway is."),
    "tokens": Lazy("hoopx.cli.tokens:command", "Issue, list and revoke access tokens."),
    "connect": Lazy("hoopx.cli.connect:command", "Start the stock client of a target through the gateway."),
    "targets": Lazy("hoopx.cli.targets:command", "List the targets, their accounts and who may use them."),
    "sessions": Lazy("hoopx.cli.sessions:command", "List, show, replay, export, review, follow and end sessions."),
    "search": Lazy("hoopx.cli.search:command", "Find what was said in any session."),
    "reindex": Lazy("hoopx.cli.reindex:command", "Make the index again from the recordings."),
    "retention": Lazy("hoopx.cli.retention:command", "Erase what need not be kept any longer, and hold what must be."),
    "verify": Lazy("hoopx.cli.verify:command", "Check recordings and ledger, offline, with public keys alone."),
    "ledger": Lazy("hoopx.cli.ledger:command", "Show the ledger, and prove what stands in it."),
    "witness": Lazy("hoopx.cli.witness:command", "Witness other gateways' ledgers."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported at their first use, so that starting stays fast."""

    def __init__(self, *args: Any, commands: Mapping[str, Lazy], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._lazy = commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self._lazy.get(cmd_name)
        if found is None:
            return None
        module, _, attribute = found.where.partition(":")
        loaded: click.Command = getattr(import_module(module), attribute)
        return checked(loaded)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self._lazy and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, self._lazy, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(self._lazy)}."
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self._lazy.items()])


@click.group(
    "hoopx",
    cls=LazyGroup,
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A gateway that records what people and agents do on the systems they work on.",
    epilog="Start the gateway itself with: twistd -n hoopx --config hoopx.toml",
)
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    envvar="HOOPX_CONFIG",
    default="hoopx.toml",
    help="Configuration; else $HOOPX_CONFIG, else ./hoopx.toml.",
)
@click.version_option(getattr(hoopx, "__version__", "0"), prog_name="hoopx")
@click.pass_context
def cli(context: click.Context, config: str) -> None:
    context.obj = Place(config)


checked(cli)


def _ofDatabase(error: Exception) -> str | None:
    """@return: what a database says, in its first line: the further ones quote what was to be written. C{None}: it was another fault."""
    known = sys.modules.get("sqlalchemy.exc")  # not loaded, it has failed nobody
    if known is None or not isinstance(error, known.SQLAlchemyError):
        return None
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"the database can not be used: {lines[0] if lines else type(error).__name__}"


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run one command and exit: 0 done, 1 "no" (denied, not found, tampered, failed), 2 usage or configuration.

    @param arguments: without the program's name; C{None} for C{sys.argv}.
    """
    try:
        status = cli.main(args=None if arguments is None else list(arguments), prog_name="hoopx", standalone_mode=False)
    except click.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(EXIT_NO)
    except click.ClickException as error:
        error.message = harmless(error.message, "\n")  # it repeats what was said
        error.show()
        sys.exit(EXIT_USAGE if isinstance(error, click.UsageError) else EXIT_NO)
    except ConfigurationError as error:
        complain(error)
        sys.exit(EXIT_USAGE)
    except HoopxError as error:
        complain(error)
        sys.exit(EXIT_NO)
    except BrokenPipeError:
        # Somebody closed our output (| head): nothing to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(EXIT_NO)
    except OSError as error:
        complain(HoopxError(told(error)))
        if isinstance(error, PermissionError):
            say("       Run this as the gateway's own user, or as root.")
        sys.exit(EXIT_NO)
    except Exception as error:
        said = _ofDatabase(error)
        if said is None:
            raise
        complain(HoopxError(said))
        sys.exit(EXIT_NO)
    sys.exit(status if isinstance(status, int) else 0)
