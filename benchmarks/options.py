"""
What benchmarks are asked with: the options that several of them have, and the file for what came out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from fixtures import machine


def makeParser(about: str | None) -> argparse.ArgumentParser:
    """@param about: the module's docstring."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE")
    return parser


def addTls(parser: argparse.ArgumentParser, where: str = "on both hops") -> None:
    parser.add_argument("--tls", nargs="?", const="on", default="off", choices=("off", "on", "both"), help=f"TLS {where}")


def addReactor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reactor", default="hoopx", help="Twisted reactor for the gateway (hoopx)")


def addContenders(parser: argparse.ArgumentParser) -> None:
    """Which proxies are compared."""
    parser.add_argument(
        "--also", action="append", default=[], metavar="NAME=COMMAND", help="another proxy; {listen} and {target} are ports"
    )
    parser.add_argument("--no-hoopx", action="store_true")


def keep(path: str | None, **results: Any) -> None:
    """@param path: of the file, if one was asked for."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), **results}, file, indent=1)


def alone(name: str, parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Any]) -> None:
    """A benchmark as a program of its own."""
    arguments = parser.parse_args()
    keep(arguments.json, **{name: measure(arguments)})
