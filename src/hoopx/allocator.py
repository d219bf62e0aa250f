# -*- test-case-name: tests.test_allocator -*-
"""
What the C library keeps of memory that a gateway has let go.

Left alone, glibc gives every thread an arena of its own, and whenever a large buffer is freed it raises what it keeps from then on
instead of giving it back, up to 64 MiB an arena (mallopt(3), "M_MMAP_THRESHOLD"). A gateway's buffers are large, short-lived and
pass between threads: after some big results it would hold tens of megabytes that it does not use.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

ARENA_MAX: Final = -8
MMAP_THRESHOLD: Final = -3
TRIM_THRESHOLD: Final = -1
"""Parameters of mallopt, from malloc.h."""

ARENAS: Final = 2
"""The reactor's thread has one, and the writer threads share one: they hold it only while they allocate."""
LARGE: Final = 4 << 20
"""Bytes of a buffer that is asked of the kernel and given back to it: more than what a read, a write and a hash in bulk take."""
KEPT: Final = 4 << 20
"""Free bytes at the end of an arena that are not given back: what bulk takes at once, so that it does not come and go all the time."""

OPERATORS: Final = ("GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
"""Whoever sets one of these knows better."""


def settle() -> bool:
    """
    Set this process's allocator, before it has threads. Its owner does that: never a library.

    @return: C{False} when there is nothing to set, or the environment has set it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name in os.environ for name in OPERATORS):
        return False
    return all([mallopt(ARENA_MAX, ARENAS), mallopt(MMAP_THRESHOLD, LARGE), mallopt(TRIM_THRESHOLD, KEPT)])
