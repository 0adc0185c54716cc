"""Faults of the disk: it is full, a run folder is damaged, the index is damaged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.faults.scene import Scene

SMALL = 6 << 20
"""The bytes of the small disk."""
_INDEX = "results.duckdb"
_BALLAST = "ballast"


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Let ``folder`` be a small file system of its own within; raises where this user may not mount one."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def fill_disk(scene: Scene) -> str:
    """Fill the small disk that the store lies on, but for a few bytes: none, or some thousand."""
    left = scene.random.choice((0, 0, 4096, 16384, 65536))
    disk = scene.store.parent
    with suppress(OSError), (disk / _BALLAST).open("wb", buffering=0) as file:
        while True:
            found = os.statvfs(disk)
            free = found.f_bavail * found.f_frsize - left
            if free <= 0:
                break
            file.write(bytes(min(free, 1 << 20)))
    return f"{left} bytes left"


def free_disk(scene: Scene) -> None:
    """Make room again."""
    (scene.store.parent / _BALLAST).unlink(missing_ok=True)


def damage_run(scene: Scene) -> str:
    """Cut a file of a published run in half, empty it or remove it; while the command runs, or after its end."""
    if scene.random.random() < 0.5:
        scene.command.wait(120)
    if not scene.wait_for_runs(1):
        return "no run there"
    folder = scene.random.choice(scene.published())
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size]
    path = scene.random.choice(files)
    how = scene.random.choice(("cut", "emptied", "removed"))
    if (path.name, how) != ("checksums.json", "removed"):
        # Folders that earlier versions have published have no checksums either.
        scene.damaged.append(folder)
    if how == "removed":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2 if how == "cut" else 0)
    return f"{path.name} {how}"


def damage_index(scene: Scene) -> str:
    """Overwrite bytes of the index, cut it, replace it or put a log of nonsense beside it; now or after the end."""
    when = "after the end" if scene.random.random() < 0.5 else "meanwhile"
    if when == "after the end":
        scene.command.wait(120)
    path = scene.store / _INDEX
    if not path.exists():
        scene.command.wait(120)
        when = "after the end"
    how = scene.random.choice(("overwritten", "cut", "replaced", "log of nonsense", "header", "removed"))
    size = path.stat().st_size
    if how == "overwritten":
        with path.open("r+b") as file:
            for _ in range(scene.random.randrange(1, 40)):
                file.seek(scene.random.randrange(size))
                file.write(scene.random.randbytes(64))
    elif how == "header":
        with path.open("r+b") as file:
            file.seek(scene.random.randrange(3 * 4096))
            file.write(scene.random.randbytes(512))
    elif how == "cut":
        os.truncate(path, scene.random.randrange(size))
    elif how == "replaced":
        path.write_text("this is no database\n" * 1000)
    elif how == "removed":
        path.unlink()
    else:
        path.with_name(f"{_INDEX}.wal").write_bytes(scene.random.randbytes(scene.random.randrange(1, 5000)))
    return f"{how} {when}"
