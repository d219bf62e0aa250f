# -*- test-case-name: tests.peers.test_disk -*-
"""
Small file systems of a test's own, that fill up and break as real ones do.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.peers.harness.finding import missing
from tests.peers.harness.processes import folder
from tests.peers.harness.waiting import until

MIB = 1 << 20


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise missing("a file system of the test's own", f"run as root where mounting is allowed ({done.stderr.strip()})")


class Disk:
    """
    A tmpfs.

    @ivar path: where it is mounted.
    @param size: bytes.
    """

    def __init__(self, size: int) -> None:
        self.path = folder("disk")
        self._size = size
        self._mount(size)

    def _mount(self, size: int) -> None:
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "hoopx-test", str(self.path))

    def fill(self, leave: int = 0) -> None:
        """
        Leave no more room than that, also while others write. Nobody takes the room but they: what is freed afterwards is free.
        """

        def shrunk() -> bool:
            # Refused, and nothing changed, when more is used by now.
            return not subprocess.run(self._resize(self._used() + leave), capture_output=True, timeout=60).returncode

        until(shrunk, "the file system to shrink")

    def free(self) -> None:
        """As much room as there was in the beginning, whatever has been written since."""
        _run(*self._resize(self._used() + self._size))

    def _used(self) -> int:
        status = os.statvfs(self.path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def _once(self, *argv: str) -> None:
        until(lambda: not subprocess.run(argv, capture_output=True, timeout=60).returncode, f"{' '.join(argv)} to be possible")

    def _resize(self, size: int) -> list[str]:
        return ["mount", "-o", f"remount,size={size}", str(self.path)]

    def remount(self, *options: str) -> None:
        """When nobody has a file open there, where that matters: a process that has ended may still be letting go of its own."""
        self._once("mount", "-o", ",".join(["remount", *options]), str(self.path))

    def remove(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True, timeout=60)


class BreakableDisk(Disk):
    """An ext4 in a file, which goes read-only at its first error, under whoever writes to it."""

    def _mount(self, size: int) -> None:
        self._image = folder("image") / "ext4"
        with self._image.open("wb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-e", "remount-ro", str(self._image))
        self.again()

    def again(self) -> None:
        """Mount it, after it was broken and unmounted."""
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def unmount(self) -> None:
        self._once("umount", str(self.path))

    def fail(self) -> None:
        """From now on every write on it gives EROFS."""
        source = Path("/proc/self/mounts").read_text().split(f" {self.path} ")[0].split("\n")[-1]
        Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("a test")
