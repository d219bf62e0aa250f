"""C{python -m benchmarks}: all of them."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from all import main

raise SystemExit(main())
