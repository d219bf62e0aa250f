"""
The reference of interfaces and classes, by pydoctor, with warnings as errors.

Names of other projects are links by rule, so that building needs no network.
"""

from __future__ import annotations

import builtins
import re
import sys
from pathlib import Path

from pydoctor.driver import main
from pydoctor.extensions import zopeinterface
from pydoctor.model import System

import hoopx

ELSEWHERE = {
    "twisted": "https://docs.twisted.org/en/stable/api/{name}.html",
    "zope": "https://zopeinterface.readthedocs.io/en/latest/api.html#{name}",
    "sqlalchemy": "https://docs.sqlalchemy.org/en/20/search.html?q={name}",
    "cryptography": "https://cryptography.io/en/latest/search.html?q={name}",
    "OpenSSL": "https://www.pyopenssl.org/en/latest/search.html?q={name}",
    "klein": "https://klein.readthedocs.io/en/latest/search.html?q={name}",
    "attrs": "https://www.attrs.org/en/stable/search.html?q={name}",
}


# An interface as well, though it is documented elsewhere.
zopeinterface.interface_prog = re.compile(zopeinterface.interface_prog.pattern + r"|twisted\.plugin\.IPlugin")


class HoopxSystem(System):
    """Knows where the documentation of what hoopx stands on is."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.intersphinx.getLink = self.elsewhere

    def elsewhere(self, name: str) -> str | None:
        pattern = ELSEWHERE.get(name.partition(".")[0])
        if pattern is None and (name.partition(".")[0] in sys.stdlib_module_names or hasattr(builtins, name)):
            pattern = "https://docs.python.org/3/search.html?q={name}"
        return pattern and pattern.format(name=name)


if __name__ == "__main__":
    sys.exit(
        main(
            [
                "--project-name=hoopx",
                f"--project-version={hoopx.__version__}",
                "--docformat=epytext",
                "--warnings-as-errors",
                "--quiet",
                "--privacy=HIDDEN:hoopx.state.migrations.versions",
                f"--html-output={sys.argv[1]}",
                "--system-class=apidoc.HoopxSystem",
                str(Path(hoopx.__file__).parent),
            ]
        )
    )
