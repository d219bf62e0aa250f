"""
Tests of hoopx. They run on the installed package, and on the plain tree with C{PYTHONPATH=src}.
"""

import os
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
    # Machines are shared: how long an example takes says nothing. New examples are for whoever can look at what they find; a verdict on
    # a tree, which is .ci/run's, is the same each time.
    verdict = bool(os.environ.get("HOOPX_REQUIRE_PEERS")) and not os.environ.get("HOOPX_LONG")
    hypothesis.settings.register_profile(
        "hoopx", deadline=None, suppress_health_check=list(hypothesis.HealthCheck), derandomize=verdict
    )
    hypothesis.settings.load_profile("hoopx")
