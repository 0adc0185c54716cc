"""Raw files in the official formats, written by the tests, and the tables built from them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench_datasets.kuairand import KuaiRandPureSample
from rmtl_bench_datasets.simulated import Simulated

# 2022-04-25 00:00, a Monday, in Beijing; also the first day of the embedded sample.
MONDAY_MS = 1_650_816_000_000
MINUTE_MS = 60_000

_EXPOSURE = {
    "user_id": 0,
    "video_id": 0,
    "date": 20220425,
    "hourmin": 1300,
    "time_ms": MONDAY_MS,
    **dict.fromkeys(("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view"), 0),
    "play_time_ms": 0,
    "duration_ms": 1000,
    "profile_stay_time": 0,
    "comment_stay_time": 0,
    "is_profile_enter": 0,
    "is_rand": 0,
    "tab": 1,
}
_USER = {
    "user_id": 0,
    "user_active_degree": "full_active",
    **dict.fromkeys(("is_lowactive_period", "is_live_streamer", "is_video_author"), 0),
    "follow_user_num": 5,
    "follow_user_num_range": "(0,10]",
    "fans_user_num": 3,
    "fans_user_num_range": "[1,10)",
    "friend_user_num": 1,
    "friend_user_num_range": "[1,5)",
    "register_days": 100,
    "register_days_range": "61-90",
    **{f"onehot_feat{number}": number for number in range(18)},
}
_VIDEO = {
    "video_id": 0,
    "author_id": 7,
    "video_type": "NORMAL",
    "upload_dt": "2022-04-10",
    "upload_type": "LongImport",
    "visible_status": 0.0,
    "video_duration": 87433.0,
    "server_width": 720.0,
    "server_height": 1280.0,
    "music_id": 1.0,
    "music_type": 9.0,
    "tag": "39,2",
}


def _write(path: Path, header: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


@pytest.fixture
def write_kuairand(tmp_path: Path) -> Callable[..., Path]:
    """Write raw files from rows that say only what is not usual; return the folder to give as ``data_dir``."""

    def write(
        exposures: Sequence[Mapping[str, Any]],
        users: Sequence[Mapping[str, Any]] | None = None,
        videos: Sequence[Mapping[str, Any]] | None = None,
        days: str = "4_22_to_5_08",
        folder: str = "kuairand-pure",
        suffix: str = "pure",
    ) -> Path:
        def described(name: str) -> list[Mapping[str, Any]]:
            return [{name: value} for value in sorted({row.get(name, 0) for row in exposures})]

        for file, usual, rows in (
            (f"log_standard_{days}_{suffix}.csv", _EXPOSURE, exposures),
            (f"user_features_{suffix}.csv", _USER, described("user_id") if users is None else users),
            (f"video_features_basic_{suffix}.csv", _VIDEO, described("video_id") if videos is None else videos),
        ):
            assert all(set(row) <= set(usual) for row in rows)
            _write(tmp_path / folder / file, usual, [list((usual | dict(row)).values()) for row in rows])
        return tmp_path

    return write


@pytest.fixture
def write_retailrocket(tmp_path: Path) -> Callable[..., Path]:
    """Write raw files; events are (minute, visitor, event, item) and properties (minute, item, property, value)."""

    def write(
        events: Iterable[tuple[float, int, str, int]],
        properties: Iterable[tuple[float, int, str, str]] | None = None,
        tree: Iterable[tuple[int, int | str]] | None = None,
    ) -> Path:
        folder = tmp_path / "retailrocket"
        paid = {"transaction": 1}
        _write(
            folder / "events.csv",
            ("timestamp", "visitorid", "event", "itemid", "transactionid"),
            [(at_minute(minute), visitor, event, item, paid.get(event, "")) for minute, visitor, event, item in events],
        )
        if properties is not None:
            rows = [(at_minute(minute), *rest) for minute, *rest in properties]
            _write(folder / "item_properties_part1.csv", ("timestamp", "itemid", "property", "value"), rows)
        if tree is not None:
            _write(folder / "category_tree.csv", ("categoryid", "parentid"), tree)
        return tmp_path

    return write


def at_minute(minute: float) -> int:
    return MONDAY_MS + round(minute * MINUTE_MS)


@pytest.fixture(scope="session")
def minute() -> Callable[[float], int]:
    """The time stamp of a minute, counted from a Monday 00:00 in Beijing."""
    return at_minute


@pytest.fixture(scope="session")
def gzipped() -> Callable[[Path], Path]:
    def replace(path: Path) -> Path:
        """Replace ``path`` by its gzipped twin and return that."""
        twin = path.with_name(f"{path.name}.gz")
        twin.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        return twin

    return replace


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Dataset, Path], SessionTable]:
    """Build a data set from raw files, with a scratch folder of its own."""
    return lambda dataset, data_dir: dataset.build(data_dir, tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="session")
def sample(built: Callable[[Dataset, Path], SessionTable]) -> SessionTable:
    """The embedded sample, whole."""
    return built(KuaiRandPureSample(), Path("no-raw-files"))


@pytest.fixture(scope="session")
def simulate(built: Callable[[Dataset, Path], SessionTable]) -> Callable[..., SessionTable]:
    def build(**parameters: Any) -> SessionTable:
        return built(Simulated(**parameters), Path("no-raw-files"))

    return build


@pytest.fixture(scope="session")
def arrays() -> Callable[[SessionTable], dict[str, Any]]:
    """The parts of a table, for comparing two of them."""
    names = ("categorical", "numerical", "labels", "session", "user", "timestamp", "session_end", "optimum")
    return lambda table: {name: getattr(table, name) for name in names if getattr(table, name) is not None}
