"""
Tests of what a process keeps of memory that it has let go.
"""

import os
import subprocess
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hoopx.allocator import OPERATORS

PROGRAM = """
import sys, threading
if sys.argv[1] == "settled":
    from hoopx.allocator import settle
    print(settle())
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def buffers():
    # As a gateway's: they come and go, and all are written to.
    for _ in range(5):
        [b"x" * (512 << 10) for _ in range(40)]
        b"x" * (30 << 20)
before = resident()
for _ in range(8):
    thread = threading.Thread(target=buffers)
    thread.start()
    thread.join()
print(resident() - before)
"""


class AllocatorTests(SynchronousTestCase):
    def run_(self, how, **environment):
        if sys.platform != "linux":
            raise SkipTest("Linux's /proc")
        clean = {key: value for key, value in os.environ.items() if key not in OPERATORS}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, how], env={**clean, **environment}, check=True, capture_output=True, text=True, timeout=300
        )
        return done.stdout.split()

    def test_givenBack(self):
        """Some 20 MB of buffers at a time, in threads: little of it stays, and more does where nothing is set."""
        settled, kept = self.run_("settled")
        if settled == "False":
            raise SkipTest("this C library has no mallopt")
        self.assertLess(int(kept), 8 << 20)
        self.assertGreater(int(self.run_("not")[0]), int(kept))

    def test_operatorsKnowBetter(self):
        self.assertEqual(self.run_("settled", MALLOC_ARENA_MAX="4")[0], "False")
