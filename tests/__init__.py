"""
Tests of hoopx. They run on the installed package, and on the plain tree with C{PYTHONPATH=src}.
"""

from importlib.util import find_spec
from pathlib import Path

import hoopx

if find_spec("hoopx.plugins") is None:
    # In the tree the drop-ins lie beside src, where only an installation finds them.
    hoopx.__path__.append(str(Path(__file__).parent.parent))

try:
    import hypothesis
except ImportError:
    pass
else:
    # Machines are shared: how long an example takes says nothing.
    hypothesis.settings.register_profile("hoopx", deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    hypothesis.settings.load_profile("hoopx")
