"""``rmtl-bench data list``, ``info``, ``prepare`` and ``verify``, as a user types them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

SHOP = '''
import os, signal
import numpy as np
from rmtl_bench import DatasetInfo, Download, Parameter, Source, hookimpl
from rmtl_bench.contracts import CategoricalField, DataError, Dataset, Schema, SessionTable, Task


class Shop(Dataset):
    """One row a line of shop.csv: an item and whether it was clicked."""

    def __init__(self, *, items: int = 3, kind: str = "plain") -> None:
        self.items = items

    def raw_files(self, data_dir):
        path = data_dir / "shop" / "shop.csv"
        if not path.is_file():
            raise DataError(f"shop: raw files are missing\\n  looked for in: {path.parent}")
        return [path]

    def build(self, data_dir, scratch):
        if (data_dir / "kill").exists():
            (scratch / "half").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        rows = np.loadtxt(self.raw_files(data_dir)[0], delimiter=",", dtype=np.int64, skiprows=1)
        n = len(rows)
        return SessionTable(
            schema=Schema((CategoricalField("item", self.items + 1),), (), (Task("click"),)),
            categorical=rows[:, :1].astype(np.int32),
            numerical=np.empty((n, 0), np.float32),
            labels=rows[:, 1:2].astype(np.float32),
            session=np.arange(n, dtype=np.int32),
            user=np.arange(n, dtype=np.int32),
            timestamp=np.arange(n, dtype=np.int64),
            session_end=np.ones(n, np.uint8),
            split_sizes=(n - 4, 2, 2),
            notes={"rows_dropped": 7},
        )


class Needy(Shop):
    """Imports what is not there as late as it can."""

    def __init__(self):
        import no_such_library


@hookimpl
def rmtl_datasets():
    parameters = {"items": Parameter(3, "number of items", minimum=1), "kind": Parameter("plain", "of shop", choices=("plain", "odd"))}
    source = Source(homepage="https://example.org/shop", folder="shop", downloads=(Download(url="https://example.org/shop.csv"),))
    return [
        DatasetInfo(name="shop", target="shop_plugin:Shop", summary="a shop", paper="Shop, 2026", licence="CC BY 4.0",
                    size="ten rows", source=source, parameters=parameters),
        DatasetInfo(name="lost", target="no_such_module:Lost", summary="cannot be imported"),
        DatasetInfo(name="needy", target="shop_plugin:Needy", summary="cannot be built"),
    ]
'''  # noqa: E501
ROWS = "item,click\n" + "".join(f"{1 + at % 3},{at % 2}\n" for at in range(10))


class Place:
    """A user's folders, and the command line in them."""

    def __init__(self, folder: Path, command: Callable) -> None:
        self.plugin, self.data, self.cache = folder / "shop_plugin.py", folder / "data", folder / "cache"
        self.plugin.write_text(SHOP)
        self._command, self._path = command, str(folder)

    def write(self, rows: str = ROWS) -> Path:
        (self.data / "shop").mkdir(parents=True, exist_ok=True)
        path = self.data / "shop" / "shop.csv"
        path.write_text(rows)
        return path

    def __call__(self, *arguments: str):
        env = {"RMTL_BENCH_CACHE": str(self.cache), "RMTL_BENCH_LOAD_PLUGINS": "", "PYTHONPATH": self._path}
        options = ("--plugin", self.plugin, "--data-dir", self.data)
        return self._command("data", *arguments, *options, env=env)


@pytest.fixture
def place(tmp_path, rmtl_bench):
    return Place(tmp_path, rmtl_bench)


def test_the_way_from_raw_files_to_a_verified_table(place):
    missing = place("prepare", "shop")
    assert missing.returncode == 4
    assert missing.stderr.endswith("source: https://example.org/shop\n  type: rmtl-bench data fetch shop\n")

    place.write()
    prepared = place("prepare", "shop")
    assert prepared.returncode == 0, prepared.stderr
    assert "train: 6 rows, 6 sessions" in prepared.stdout
    assert "share of click: train 0.5000, valid 0.5000, test 0.5000" in prepared.stdout
    assert "rows dropped: 7" in prepared.stdout
    (folder,) = (path for path in (place.cache / "prepared").iterdir())

    again = place("prepare", "shop")
    assert again.stdout == f"shop: already prepared in {folder}\n"
    verified = place("verify", "shop")
    assert verified.returncode == 0
    assert "shop: verified, 7 files, 10 rows, raw files as they were" in verified.stdout


def test_a_list_says_what_is_here_and_what_cannot_be_imported(place):
    rows = {row["name"]: row for row in json.loads(place("list", "--json").stdout)["datasets"]}
    assert (rows["shop"]["raw_files"], rows["shop"]["prepared"], rows["shop"]["licence"]) == ("missing", 0, "CC BY 4.0")
    assert rows["lost"]["raw_files"].startswith("broken: ")
    assert rows["needy"]["raw_files"] == "broken: ModuleNotFoundError: No module named 'no_such_library'"
    place.write()
    place("prepare", "shop")
    shown = place("list")
    assert shown.returncode == 0
    (line,) = (line.split() for line in shown.stdout.splitlines() if line.startswith("shop"))
    assert line[-2:] == ["found", "1"]
    assert f"raw files are looked for in {place.data}" in shown.stdout


def test_info_tells_missing_found_prepared_and_stale_apart(place):
    shown = place("info", "shop").stdout
    for text in ("CC BY 4.0", "Shop, 2026", "https://example.org/shop", "missing", "rmtl-bench data fetch shop"):
        assert text in shown
    assert "one of 'plain', 'odd'" in shown
    path = place.write()
    assert "no; type: rmtl-bench data prepare shop" in place("info", "shop").stdout
    place("prepare", "shop")
    # A file touched just now is not remembered: make it look older, as a file is that somebody downloaded.
    os.utime(path, (1_000_000_000, 1_000_000_000))
    place("prepare", "shop")
    data = json.loads(place("info", "shop", "--json").stdout)
    assert data["manifest"]["rows"] == {"train": 6, "valid": 2, "test": 2}
    path.write_text(ROWS + "1,1\n")
    os.utime(path, (1_000_000_001, 1_000_000_001))
    # Nothing has read the new file yet; verifying does.
    assert "unknown" in json.loads(place("info", "shop", "--json").stdout)["prepared"]
    assert "raw files are others now" in place("verify", "shop").stdout
    assert "stale" in json.loads(place("info", "shop", "--json").stdout)["prepared"]
    other = json.loads(place("info", "shop", "--set", "items=5", "--json").stdout)
    assert other["prepared"].startswith("no; type")
    items = other["parameters"]["items"]
    assert (items["value"], items["default"], items["takes"]) == (5, 3, "a whole number of at least 1")
    assert len(other["also_prepared"]) == 1
    assert other["also_prepared"][0].endswith(" (default parameters)")


def test_info_does_not_call_stale_what_it_has_not_read(place):
    path = place.write()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    place("prepare", "shop")
    os.utime(path, (1_000_000_001, 1_000_000_001))
    data = json.loads(place("info", "shop", "--json").stdout)
    assert data["prepared"].startswith("unknown until prepared (raw files not read yet)")
    assert "already prepared" in place("prepare", "shop").stdout
    (folder,) = (place.cache / "prepared").iterdir()
    (folder / "manifest.json").write_text("{")
    shown = place("info", "shop")
    assert shown.returncode == 0, shown.stderr
    assert f"{folder}, whose manifest cannot be read" in shown.stdout


def test_a_preparation_that_is_killed_leaves_nothing_prepared(place):
    place.write()
    (place.data / "kill").touch()
    assert place("prepare", "shop").returncode == -signal.SIGKILL
    (row,) = (r for r in json.loads(place("list", "--json").stdout)["datasets"] if r["name"] == "shop")
    assert (row["raw_files"], row["prepared"]) == ("found", 0)
    assert place("verify", "--all").returncode == 4
    (place.data / "kill").unlink()
    assert place("prepare", "shop").returncode == 0
    assert len(list((place.cache / "prepared").iterdir())) == 1


def test_a_suite_prepares_its_data_sets_with_its_parameters(place, tmp_path):
    place.write()
    suite = tmp_path / "shops.toml"
    shops = '[datasets.shop]\n[datasets.odd]\nplugin = "shop"\nparameters = { kind = "odd" }\n'
    grid = '[backbones.b]\n[weightings.w]\n[[grid]]\nbackbones = ["b"]\nweightings = ["w"]\n'
    suite.write_text('schema = 1\nname = "shops"\n' + shops + grid)
    done = place("prepare", "--suite", str(suite))
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines() if "prepared in" in line] == ["shop", "odd"]
    one = place("verify", "shop", "--set", "kind=odd")
    assert (one.returncode, len(one.stdout.splitlines())) == (0, 1)


def test_another_parameter_is_another_table(place):
    place.write()
    place("prepare", "shop")
    done = place("prepare", "shop", "--set", "items=5", "--set", "kind=odd")
    assert done.returncode == 0, done.stderr
    assert len(list((place.cache / "prepared").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("prepare", "shop", "--set", "item=5"),
            "dataset 'shop' has no parameter 'item', given as 5; did you mean 'items'?",
        ),
        (("prepare", "shop", "--set", "items=0"), "parameter 'items' is 0; it takes a whole number of at least 1"),
        (("prepare", "shop", "--set", "kind=od"), "parameter 'kind' is 'od'; it takes one of 'plain', 'odd'"),
        (("prepare", "shop", "--set", "items"), "--set 'items' is not of the form KEY=VALUE"),
        (("prepare", "shop", "--set", "items=2", "--set", "items=3"), "--set gives 'items' twice"),
        (("prepare", "shop", "--set", "kind=2020-01-01"), "parameter 'kind' is '2020-01-01'; it takes one of"),
        (("prepare", "shop", "lost", "--set", "items=2"), "--set goes with one data set"),
        (("prepare",), "data prepare takes names of data sets, or --suite NAME"),
        (("info", "shpo"), "unknown dataset 'shpo'; did you mean 'shop'?"),
        (("verify",), "data verify takes names of data sets, or --all"),
        (("prepair", "shop"), "unknown command 'prepair'; did you mean 'prepare'?"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2(place, arguments, message):
    done = place(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_table_is_found_and_the_others_are_verified_all_the_same(place):
    place.write()
    place("prepare", "shop")
    place("prepare", "shop", "--set", "items=5")
    first, _ = sorted((place.cache / "prepared").iterdir())
    labels = first / "labels.npy"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x01")
    done = place("verify", "lost", "shop")
    assert done.returncode == 4
    assert "error: nothing is prepared of lost" in done.stderr
    assert "labels.npy: sha256 is" in done.stderr
    assert done.stdout.count("verified") == 1
    (place.cache / "prepared" / "gone-0123456789abcdef").mkdir()
    (place.cache / "prepared" / "gone-0123456789abcdef" / "table.json").touch()
    done = place("verify", "--all")
    assert done.returncode == 4
    assert "error: gone: " in done.stderr
    assert done.stdout.count("verified") == 1
    (place.cache / "prepared" / "gone-0123456789abcdef" / "table.json").unlink()
    done = place("verify", "--all")
    assert done.returncode == 4
    assert "labels.npy: sha256 is" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.count("verified") == 1


def test_what_was_never_prepared_cannot_be_verified(place):
    done = place("verify", "shop")
    assert done.returncode == 4
    assert done.stderr == "error: nothing is prepared of shop; type: rmtl-bench data prepare shop\n"


def test_a_malformed_raw_file_leaves_nothing_prepared(place):
    place.write(ROWS.replace("1,0", "9,0"))
    done = place("prepare", "shop")
    assert done.returncode == 4
    assert "categorical 'item' has id 9 in row 0; size is 4" in done.stderr
    assert list((place.cache / "prepared").iterdir()) == []
