"""Damaged raw files, full disks and killed processes: one line for the user, and no half-made table."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rmtl_bench.contracts import Component, DataError, Dataset
from rmtl_bench.data.manifest import verify
from rmtl_bench.data.preparation import fingerprint, prepare, prepared_folders
from rmtl_bench.data.storage import load_table
from rmtl_bench_datasets.kuairand import KuaiRand
from rmtl_bench_datasets.retailrocket import RetailRocket

STANDARD, RANDOM = "log_standard_4_22_to_5_08_pure.csv", "log_random_4_22_to_5_08_pure.csv"
FILES = {
    "kuairand-pure": (STANDARD, RANDOM, "user_features_pure.csv", "video_features_basic_pure.csv"),
    "retailrocket": ("events.csv", "category_tree.csv", "item_properties_part1.csv"),
}
LOGS = {STANDARD, RANDOM, "events.csv", "item_properties_part1.csv"}

every_data_set = pytest.mark.parametrize("name", list(FILES))
every_file = pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, files in FILES.items() for file in files]
)

# What a process of its own needs to prepare a data set.
PREPARE = """\
import sys
from importlib import import_module
from pathlib import Path
from rmtl_bench.contracts import Component, DataError
from rmtl_bench.data import preparation
module = import_module(sys.argv[1])
name, parameters = sys.argv[3], eval(sys.argv[4])
dataset = getattr(module, sys.argv[2])(**parameters)
component = Component(name, name, 1, "rmtl-bench-datasets", "0", parameters)
digits, data_dir, cache_dir = sys.argv[5], Path(sys.argv[6]), Path(sys.argv[7])
def prepare():
    preparation.prepare(dataset, digits, component, data_dir, cache_dir)
"""


@dataclass(frozen=True)
class Raw:
    """A data set, its raw files in ``data_dir``, and a cache of its own."""

    dataset: Dataset
    component: Component
    data_dir: Path
    cache_dir: Path

    def file(self, name: str) -> Path:
        return self.data_dir / self.component.name / name

    def fingerprint(self) -> str:
        return fingerprint(self.dataset, self.component, self.data_dir, self.cache_dir)

    def prepare(self, digits: str = "") -> Path:
        return prepare(self.dataset, digits or self.fingerprint(), self.component, self.data_dir, self.cache_dir)

    def left(self) -> list[str]:
        """Return what lies where prepared tables do."""
        folder = self.cache_dir / "prepared"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def arguments(self) -> list[str]:
        """Return what the program :data:`PREPARE` takes."""
        kind, parameters = type(self.dataset), dict(self.component.parameters)
        identity = [kind.__module__, kind.__name__, self.component.name, repr(parameters), self.fingerprint()]
        return [*identity, str(self.data_dir), str(self.cache_dir)]


@pytest.fixture
def raw(name, write_kuairand, write_retailrocket, minute, tmp_path):
    if name == "retailrocket":
        views = [(10 * at, at % 5, "view", at % 3) for at in range(40)]
        carts = [(10 * at, at % 5, "addtocart", at % 3) for at in range(0, 40, 4)]
        properties = [(0, 1, "categoryid", "2"), (100, 1, "categoryid", "1"), (0, 2, "785", "n1.000")]
        data_dir = write_retailrocket(views + carts, properties, [(1, ""), (2, 1)])
        dataset, parameters = RetailRocket(), {}
    else:
        rows = [
            {"user_id": at % 5, "video_id": at % 3, "time_ms": minute(10 * at), "is_click": at % 2} for at in range(40)
        ]
        data_dir = write_kuairand([{**row, "is_rand": 1} for row in rows[30:]])
        (data_dir / name / STANDARD).rename(data_dir / name / RANDOM)
        write_kuairand(rows)
        parameters = {"random_exposures": True}
        dataset = KuaiRand(random_exposures=True)
    component = Component(name, name, 1, "rmtl-bench-datasets", "0", parameters)
    return Raw(dataset, component, data_dir, tmp_path / "cache")


@pytest.fixture
def prepared_program(tmp_path):
    def run(raw, code, *more, before=()):
        """Run ``code`` after :data:`PREPARE` in a process of its own."""
        program = tmp_path / "program.py"
        program.write_text(PREPARE + code)
        return subprocess.run(
            [*before, sys.executable, program, *raw.arguments(), *more], capture_output=True, text=True, check=False
        )

    return run


def arrays_of(folder):
    table = load_table(folder)
    return {name: getattr(table, name) for name in ("categorical", "numerical", "labels", "session", "timestamp")}


# Damaged files


def cut(path):
    """Cut a file short within its last line, which misses a column then."""
    text = path.read_text()
    path.write_text(text[: text.rindex(",")])
    return path


def emptied(path):
    path.write_bytes(b"")
    return path


def unreadable(path):
    if os.geteuid():
        path.chmod(0)
    else:
        # Root may read everything but this.
        path.unlink()
        path.symlink_to("/proc/self/mem")
    return path


# With a fingerprint that is known already, it is the data set that reads the file first.
@pytest.mark.parametrize(("damage", "digits"), [(cut, ""), (emptied, ""), (unreadable, ""), (unreadable, "0" * 16)])
@every_file
def test_a_damaged_file_is_one_line_that_names_it_and_leaves_nothing(raw, file, damage, digits):
    path = damage(raw.file(file))
    with pytest.raises(DataError) as error:
        raw.prepare(digits)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert raw.left() == []


@every_file
def test_a_gzipped_file_cut_short_is_one_line_that_names_it_and_leaves_nothing(raw, file, gzipped):
    path = gzipped(raw.file(file))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError) as error:
        raw.prepare()
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert raw.left() == []


@every_data_set
def test_a_file_that_was_mended_is_prepared(raw, name):
    path = raw.file(FILES[name][0])
    whole = path.read_bytes()
    cut(path)
    with pytest.raises(DataError, match="is the file cut short"):
        raw.prepare()
    path.write_bytes(whole)
    assert verify(raw.prepare())["dataset"] == name


# Files with more than they should have


@every_data_set
def test_an_unknown_column_changes_nothing_and_is_noted(raw, name):
    expected = arrays_of(raw.prepare())
    for file in FILES[name]:
        header, *lines = raw.file(file).read_text().splitlines()
        text = [f"surprise,{header},another one", *(f'"{at}, x",{line},' for at, line in enumerate(lines))]
        raw.file(file).write_text("\n".join(text))
    folder = raw.prepare()
    ignored = [f"{file}: {column}" for file in FILES[name] for column in ("surprise", "another one")]
    assert verify(folder)["notes"]["columns_ignored"] == sorted(ignored)
    for array, values in arrays_of(folder).items():
        np.testing.assert_array_equal(values, expected[array], err_msg=array)


@every_data_set
def test_rows_that_stand_twice_change_nothing_and_are_counted(raw, name):
    counted = {"kuairand-pure": ("rows_logged", "rows_distinct"), "retailrocket": ("events_logged", "events_distinct")}
    first = raw.prepare()
    before = verify(first)["notes"]
    for file in LOGS.intersection(FILES[name]):
        header, *lines = raw.file(file).read_text().splitlines()
        raw.file(file).write_text("\n".join([header, *lines[::-1], *lines]))
    folder = raw.prepare()
    notes = verify(folder)["notes"]
    logged, distinct = counted[name]
    assert (notes[logged], notes[distinct]) == (2 * before[logged], before[distinct])
    for array, values in arrays_of(folder).items():
        np.testing.assert_array_equal(values, arrays_of(first)[array], err_msg=array)


# Full disks


FILL = """
import json, resource, subprocess
for kilobytes in range(4, 1000, 12):
    if sys.argv[8] == "disk":
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", cache_dir], check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, resource.RLIM_INFINITY))
    try:
        prepare()
        error = None
    except DataError as raised:
        error = str(raised)
    print(json.dumps([error, sorted(path.name for path in (cache_dir / "prepared").glob("*"))]))
    if error is None:
        break
"""


@pytest.fixture
def small_disk(tmp_path):
    """Return the words of a command that runs another with a disk of 4 KiB at a folder, or none where not permitted."""
    namespace = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    script = 'mount -t tmpfs -o size=4k none "$0" && exec "$@"'
    tmp_path.joinpath("disk").mkdir()
    words = [*namespace, "sh", "-c", script]
    tried = shutil.which("unshare") and subprocess.run([*words, tmp_path / "disk", "true"], capture_output=True)
    return words if tried and tried.returncode == 0 else []


@every_data_set
@pytest.mark.parametrize("way", ["limit", "disk"])
def test_a_full_disk_is_one_line_and_leaves_nothing(raw, prepared_program, small_disk, way):
    raw.cache_dir.mkdir()
    if way == "limit" or not small_disk:
        done = prepared_program(raw, FILL, "limit")
    else:
        done = prepared_program(raw, FILL, "disk", before=[*small_disk, raw.cache_dir])
    assert done.returncode == 0, done.stderr
    *full, (error, left) = map(json.loads, done.stdout.splitlines())
    assert (error, len(left)) == (None, 1)
    assert len(full) > 1
    for error, left in full:
        assert error
        assert "\n" not in error
        assert left == []


# Killed processes


KILL = """
import os, signal
where, what = {"rows": (module, "lay_out"), "table": (preparation, "manifest_of")}[sys.argv[8]]
setattr(where, what, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
prepare()
"""


@every_data_set
@pytest.mark.parametrize("stage", ["rows", "table"])
def test_what_a_killed_preparation_left_is_cleared_away_by_the_next(raw, prepared_program, stage):
    assert prepared_program(raw, KILL, stage).returncode == -signal.SIGKILL
    assert raw.left() != []
    assert prepared_folders(raw.component.name, raw.cache_dir) == []
    folder = raw.prepare()
    assert raw.left() == [folder.name]
    assert sum(verify(folder)["rows"].values()) >= 40
