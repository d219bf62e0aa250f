"""
Tests of hoopx. They run on the installed package, and on the plain tree with C{PYTHONPATH=src}.
"""

from importlib.util import find_spec
from pathlib import Path

import hoopx

if find_spec("hoopx.plugins") is None:
    # In the tree the drop-ins lie beside src, where only an installation finds them.
    hoopx.__path__.append(str(Path(__file__).parent.parent))
