"""
Writes docs/reference/cli.rst from the commands themselves: python docs/clidoc.py > docs/reference/cli.rst
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from hoopx.cli.main import cli

HEAD = """\
Command line
============

.. Written by docs/clidoc.py; a test compares it with the commands.

Exit status: 0 done; 1 no (denied, not found, failed); 2 usage or configuration. Results go to standard output, everything else to
standard error. What lists takes ``--json``; without it there is a table on a terminal, and tab-separated text elsewhere.

The gateway itself is started with ``twistd -n hoopx --config hoopx.toml``.
"""


def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, groups before what is in them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def usage(path: tuple[str, ...], command: click.Command) -> str:
    words = list(path)
    if any(isinstance(each, click.Option) for each in command.params):
        words.append("[OPTIONS]")
    for each in command.params:
        if isinstance(each, click.Argument):
            name = (each.metavar or (each.name or "").upper()) + ("..." if each.nargs == -1 else "")
            words.append(name if each.required else f"[{name}]")
    if isinstance(command, click.Group):
        words.append("COMMAND")
    return " ".join(words)


def options(command: click.Command) -> Iterator[str]:
    for each in command.params:
        if isinstance(each, click.Option) and not each.hidden:
            names = ", ".join((*each.opts, *each.secondary_opts))
            if isinstance(each.type, click.Choice):
                value = " " + "|".join(str(choice) for choice in each.type.choices)
            else:
                value = "" if each.is_flag or each.count else f" {each.metavar or each.type.name.upper()}"
            yield f"``{names}{value}``\n    {' '.join((each.help or '').split())}\n"


def text(command: click.Command) -> str:
    """The command's help, its paragraphs joined as click joins them."""
    said = inspect.cleandoc(command.help or "").partition("\f")[0]
    paragraphs = [each for each in said.split("\n\n") if each.strip()]
    shown = []
    for each in paragraphs:
        lines = each.splitlines()
        if lines[0] == "\b":
            shown.append("::\n\n" + "\n".join("    " + line for line in lines[1:]))
        else:
            shown.append(" ".join(each.split()).replace("*", "\\*").replace("`", "\\`").replace("|", "\\|"))
    return "\n\n".join(shown)


def page() -> str:
    parts = [HEAD]
    for path, command in (((cli.name or "hoopx",), cli), *commands(cli, (cli.name or "hoopx",))):
        title = " ".join(path)
        parts.append(f"{title}\n{('-' if len(path) < 3 else '~') * len(title)}\n")
        parts.append(f"::\n\n    {usage(path, command)}\n")
        parts.append(text(command) + "\n")
        listed = list(options(command))
        parts += listed
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
