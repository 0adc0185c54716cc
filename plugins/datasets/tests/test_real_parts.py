"""Real rows, prepared and verified: the manifest's counts are those of pandas."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts import Component
from rmtl_bench.data.manifest import verify
from rmtl_bench.data.preparation import fingerprint, prepare
from rmtl_bench_datasets.kuairand import KuaiRand, KuaiRandPureSample
from rmtl_bench_datasets.retailrocket import RetailRocket

HERE = Path(__file__).parent
PROJECT = HERE.parent
EMBEDDED = PROJECT / "rmtl_bench_datasets" / "embedded" / "kuairand-pure"
OURS = HERE / "data" / "retailrocket-part"
BESIDE = HERE.parents[2].parent / "shared" / "data"

DAY_MS, MINUTE_MS = 86_400_000, 60_000
NAMES = ("train", "valid", "test")
SHARES = (0.6, 0.2, 0.2)


def beside(name):
    """Return the folder of that name beside the repository, in a list, if it is there."""
    return [BESIDE / name] if (BESIDE / name).is_dir() else []


@pytest.fixture
def manifest(tmp_path):
    def of(kind, folder, name, parameters):
        """Prepare ``folder``, linked into a data folder as ``name``, and return the manifest that is verified."""
        data_dir, cache_dir = tmp_path / "data", tmp_path / "cache"
        data_dir.mkdir()
        (data_dir / name).symlink_to(folder, target_is_directory=True)
        dataset = kind(**parameters)
        component = Component(name, name, 1, "rmtl-bench-datasets", "0", parameters)
        digits = fingerprint(dataset, component, data_dir, cache_dir)
        return verify(prepare(dataset, digits, component, data_dir, cache_dir))

    return of


def by_split(column):
    return dict(zip(NAMES, column, strict=True))


def with_splits(rows, times, shares=SHARES):
    """Return ``rows`` with the number of the split, cut at the shares of ``times``."""
    ordered = np.sort(times)
    cuts = ordered[[round(len(ordered) * shares[0]), round(len(ordered) * (shares[0] + shares[1]))]]
    return rows.assign(split=np.searchsorted(cuts, rows["time"], side="right"))


def without_crossing(rows):
    """Return the rows of sessions that lie in one split, and what was left out: sessions and rows."""
    crossing = rows.groupby(["user", "bucket"])["split"].transform("nunique") > 1
    left_out = rows[crossing]
    notes = {
        "sessions_dropped_at_a_split": len(left_out[["user", "bucket"]].drop_duplicates()),
        "rows_dropped_at_a_split": len(left_out),
    }
    return rows[~crossing], notes


def assert_counts(manifest, rows, tasks, fields):
    """Assert that the manifest counts what ``rows`` hold: split, user, bucket, the tasks and the fields."""
    parts = rows.groupby("split")
    of_split = rows[["user", "bucket", "split"]].drop_duplicates()
    assert manifest["rows"] == by_split(parts.size())
    assert manifest["sessions"] == by_split(of_split.groupby("split").size())
    assert manifest["cut_sessions"] == len(of_split) - len(of_split[["user", "bucket"]].drop_duplicates())
    assert manifest["notes"]["sessions_cut_by_a_split"] == manifest["cut_sessions"]
    assert manifest["users"] == by_split(parts["user"].nunique())
    assert list(manifest["label_rates"]) == tasks
    for task in tasks:
        assert manifest["label_rates"][task] == pytest.approx(by_split(parts[task].mean()), rel=1e-12), task
    for field in fields:
        seen = rows.loc[rows["split"] == 0, field].value_counts()
        known = rows[field].isin(seen.index[seen >= 2])
        assert manifest["vocabularies"][field] == 1 + (seen >= 2).sum(), field
        shares = by_split((~known).groupby(rows["split"]).mean())
        assert manifest["out_of_vocabulary"][field] == pytest.approx(shares, rel=1e-12), field


# KuaiRand


def kuairand_rows(folder, sessions, keep=1.0):
    """Return the distinct exposures with user, bucket, split, labels and some fields, and the number of rows logged."""
    (path,) = folder.glob("log_standard_*")
    logged = pd.read_csv(path)
    logged = logged[logged["user_id"] % 1000 < keep * 1000]
    rows = logged.drop_duplicates().rename(columns={"user_id": "user", "time_ms": "time"})
    beijing = pd.to_datetime(rows["time"] + 8 * 3_600_000, unit="ms")
    # The number of the Monday.
    week = beijing.dt.normalize() - pd.to_timedelta(beijing.dt.day_of_week, unit="D")
    rows = with_splits(rows.assign(bucket=rows["date"] if sessions == "day" else week), rows["time"])
    (videos,) = folder.glob("video_features_basic_*")
    videos = pd.read_csv(videos, usecols=["video_id", "author_id", "tag"])
    rows = rows.merge(videos.assign(tag=videos["tag"].str.split(",").str[0]), on="video_id", how="left")
    joint = {"long-view": rows["long_view"] * rows["is_click"], "like": rows["is_like"] * rows["is_click"]}
    return rows.assign(click=rows["is_click"], user_id=rows["user"], hour=rows["hourmin"] // 100, **joint), len(logged)


@pytest.mark.parametrize(
    ("kind", "folder", "name", "parameters"),
    [
        (KuaiRandPureSample, EMBEDDED, "kuairand-pure-sample", {}),
        (KuaiRandPureSample, EMBEDDED, "kuairand-pure-sample", {"users": 0.05, "at_boundary": "drop"}),
        *(
            (KuaiRand, folder, "kuairand-pure", {"sessions": "day", "tasks": ("click", "like")})
            for folder in beside("kuairand-pure-part")
        ),
    ],
)
def test_the_counts_of_kuairand_are_those_of_pandas(manifest, kind, folder, name, parameters):
    found = manifest(kind, folder, name, parameters)
    rows, logged = kuairand_rows(folder, parameters.get("sessions", "week"), parameters.get("users", 1.0))
    notes = {"rows_logged": logged, "rows_distinct": len(rows)}
    if "at_boundary" in parameters:
        rows, dropped = without_crossing(rows)
        notes |= dropped
    assert found["notes"] == found["notes"] | notes
    tasks = list(parameters.get("tasks", ("click", "long-view")))
    assert_counts(found, rows, tasks, ["user_id", "video_id", "tab", "hour", "author_id", "tag"])
    if "users" not in parameters:
        whole = sum(found["sessions"].values()) - found["cut_sessions"]
        assert (logged, len(rows), rows["user"].nunique()) == (228_329, 222_869, 25_156)
        assert whole == {"week": 44_309, "day": 120_496}[parameters.get("sessions", "week")]


# RetailRocket


def retailrocket_rows(folder, sessions, least):
    """Return the views with user, bucket, split, labels and fields, and the events logged, distinct and kept."""
    logged = pd.read_csv(folder / "events.csv")
    events = logged.drop_duplicates().rename(columns={"visitorid": "user", "timestamp": "time", "itemid": "item"})
    events = events.sort_values(["user", "time"], kind="stable")
    same = events["user"] == events["user"].shift()
    goes_on = same if sessions == "visitor" else same & (events["time"].diff() <= 30 * MINUTE_MS)
    events["bucket"] = (~goes_on).cumsum()
    kept = events[(events["event"] == "view").groupby(events["bucket"]).transform("sum") >= least]
    kept = with_splits(kept, kept.loc[kept["event"] == "view", "time"])
    rows = kept[kept["event"] == "view"]
    for name in ("addtocart", "transaction"):
        same_item = ["bucket", "split", "item"]
        last = kept[kept["event"] == name].groupby(same_item)["time"].max().rename(name)
        rows = rows.join(last, on=same_item)
    click = rows["addtocart"] >= rows["time"]
    rows = rows.assign(
        click=click.astype(int),
        pay=(click & (rows["transaction"] >= rows["time"])).astype(int),
        hour=rows["time"] // 3_600_000 % 24,
        weekday=pd.to_datetime(rows["time"], unit="ms").dt.day_of_week,
    )
    return rows, {"events_logged": len(logged), "events_distinct": len(events), "events_kept": len(kept)}


@pytest.mark.parametrize("folder", [OURS, *beside("retailrocket-part")], ids=lambda folder: folder.parent.name)
@pytest.mark.parametrize(
    "parameters",
    [{}, {"sessions": "visitor"}, {"sessions": "visitor", "min_session_rows": 2, "at_boundary": "drop"}],
)
def test_the_counts_of_retailrocket_are_those_of_pandas(manifest, folder, parameters):
    found = manifest(RetailRocket, folder, "retailrocket", parameters)
    rows, notes = retailrocket_rows(folder, parameters.get("sessions"), parameters.get("min_session_rows", 1))
    if "at_boundary" in parameters:
        rows, dropped = without_crossing(rows)
        notes |= dropped
    assert found["notes"] == found["notes"] | notes
    assert_counts(found, rows, ["click", "pay"], ["item", "hour", "weekday"])


def test_the_part_of_retailrocket_holds_what_its_licence_says():
    events = pd.read_csv(OURS / "events.csv")
    assert events["event"].value_counts().to_dict() == {"view": 9_076, "addtocart": 263, "transaction": 46}
    assert (events["visitorid"].nunique(), events["itemid"].nunique()) == (5_000, 6_610)
    assert len(pd.read_csv(OURS / "category_tree.csv")) == 1_669
    licence = (OURS / "LICENCE.md").read_text(encoding="utf-8")
    for needed in ("CC BY-NC-SA 4.0", "kaggle.com/datasets/retailrocket", "9,385", "5,000", "6,610", "1,669"):
        assert needed in licence


def test_the_data_of_the_tests_are_in_no_archive():
    targets = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"][
        "targets"
    ]
    assert targets["wheel"] == {"packages": ["rmtl_bench_datasets"]}
    assert targets["sdist"] == {"include": ["/rmtl_bench_datasets", "/README.md", "/LICENSE"]}
    assert not list((PROJECT / "rmtl_bench_datasets").rglob("events.csv*"))
