"""What no raw log may lead to: a training split, or a feature, that knows of what comes later."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rmtl_bench.data.checks import check_table
from rmtl_bench_datasets.kuairand import RANDOM_EXPOSURES, SIGNALS, KuaiRand
from rmtl_bench_datasets.retailrocket import PROPERTIES, RetailRocket

pytestmark = pytest.mark.slow

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
VIEW, CART, PAID = "view", "addtocart", "transaction"
FEATURES = ("categorical", "numerical", "session", "user", "timestamp", "session_end")
OF_A_SPLIT = ("categorical", "numerical", "labels", "session", "timestamp")

examples = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
splits = st.sampled_from([(0.6, 0.2, 0.2), (0.34, 0.33, 0.33), (0.5, 0.2, 0.3), (0.8, 0.1, 0.1)])
seeds = st.integers(0, 2**32 - 1)


def assert_equal(first, second, names, until=None):
    """Assert that two tables have the same fields and, in their rows before ``until``, the same arrays."""
    assert first.schema == second.schema
    for name in names:
        np.testing.assert_array_equal(getattr(first, name)[:until], getattr(second, name)[:until], err_msg=name)


def assert_splits_follow_one_another(table):
    last = {name: table.timestamp[table.split(name)].max() for name in table.splits}
    first = {name: table.timestamp[table.split(name)].min() for name in table.splits}
    assert all(last["train"] < first[name] for name in table.splits if name != "train")
    assert all(last["valid"] < first[name] for name in table.splits if name not in ("train", "valid"))


def assert_no_session_in_two_splits(table, expected, at_boundary):
    """``expected``: the rows by pandas, in any order, with split, user, bucket and time."""
    sessions = [set(table.session[table.split(name)].tolist()) for name in table.splits]
    assert sum(map(len, sessions)) == len(set().union(*sessions))
    assert len(set().union(*sessions)) == len(expected[["split", "user", "bucket"]].drop_duplicates())
    numbers = {user: number for number, user in enumerate(sorted(set(expected["user"])))}
    splits = np.repeat(np.arange(len(table.splits)), list(table.splits.values()))
    assert Counter(zip(splits.tolist(), table.user.tolist(), table.timestamp.tolist(), strict=True)) == Counter(
        zip(expected["split"].tolist(), expected["user"].map(numbers).tolist(), expected["time"].tolist(), strict=True)
    )
    if at_boundary == "drop":
        assert 2 not in table.session_end
        # A user's rows of one time are of one session.
        standard = expected[expected["split"] < 3]
        users = standard["user"].map(numbers)
        bucket = dict(zip(zip(users, standard["time"], strict=True), standard["bucket"], strict=True))
        of_split = [
            {(user, bucket[user, time]) for user, time in zip(table.user[rows], table.timestamp[rows], strict=True)}
            for rows in map(table.split, ("train", "valid", "test"))
        ]
        assert sum(map(len, of_split)) == len(set().union(*of_split))


def assert_labels_are_no_features(table):
    fields = {field.name for field in table.schema.categorical} | set(table.schema.numerical)
    assert fields.isdisjoint(table.schema.task_names)
    assert fields.isdisjoint(["long_view", "play_time_ms", "profile_stay_time", "comment_stay_time", "event"])
    assert not any(name.startswith("is_") and name.removeprefix("is_") in SIGNALS for name in fields)


def gap_buckets(rows, gap_minutes):
    """Number the sessions of a user, for rows in the order of time."""
    pause = rows.groupby("user")["time"].diff()
    return (pause > round(gap_minutes * MINUTE_MS)).groupby(rows["user"]).cumsum().astype(int)


def split_by_time(times, cuts):
    return (times >= cuts[0]).astype(int) + (times >= cuts[1]).astype(int)


def cuts_of(times, shares):
    """Return the times that stand at the shares; where none stands there, the example is too small."""
    skips = round(len(times) * shares[0]), round(len(times) * (shares[0] + shares[1]))
    assume(max(skips) < len(times))
    ordered = sorted(times)
    return ordered[skips[0]], ordered[skips[1]]


def without_crossing(rows):
    return rows[rows.groupby(["user", "bucket"])["split"].transform("nunique") == 1]


def shuffled(rows, rng):
    return [rows[at] for at in rng.permutation(len(rows))]


# KuaiRand


@dataclass(frozen=True)
class Exposures:
    """A standard log, a log of random exposures, the features of users and videos, and the parameters."""

    standard: list[dict[str, Any]]
    random: list[dict[str, Any]]
    users: list[dict[str, Any]]
    videos: list[dict[str, Any]]
    parameters: dict[str, Any]


def exposure(start, slot, user, video, signals, chance):
    """Return a row; what is known before the exposure depends on its user, video and time alone."""
    time = start + slot * 61 * MINUTE_MS
    beijing = pd.Timestamp(time + 8 * HOUR_MS, unit="ms")
    return {
        "user_id": user,
        "video_id": video,
        "time_ms": time,
        "date": int(beijing.strftime("%Y%m%d")),
        "hourmin": beijing.hour * 100 + beijing.minute,
        "tab": (user + video + slot) % 3,
        "duration_ms": (0, 1, 1000, 5000, 70_000)[(user + video) % 5],
        "is_rand": chance,
        **measured(signals),
    }


def measured(signals):
    """Return what is measured after an exposure, as the digits of a number say."""
    flags = ("is_click", "long_view", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "is_profile_enter")
    return {
        **{name: signals >> bit & 1 for bit, name in enumerate(flags)},
        "play_time_ms": (signals >> 8) * 700,
        "profile_stay_time": (signals >> 9 & 1) * 40,
        "comment_stay_time": (signals >> 10 & 1) * 30,
    }


def described(key, rows, rng, **values):
    """Return a row of features for each value of ``key`` in the log; some have none."""
    found = sorted({row[key] for row in rows})
    features = [{key: value, **{n: rng.choice(of).item() for n, of in values.items()}} for value in found]
    return features[: max(1, len(features) - 1)]


def describe(case, rng):
    rows = case.standard + case.random
    degrees, tags = ["full_active", "high_active", ""], ["39,2", "39", "2", ""]
    users = described("user_id", rows, rng, user_active_degree=degrees, fans_user_num=[0, 5, 300])
    return replace(case, users=users, videos=described("video_id", rows, rng, author_id=[7, 8, 9], tag=tags))


@st.composite
def exposures(draw, start):
    users = st.integers(0, 4) | st.integers(100, 999)
    row = st.tuples(st.integers(0, 400), users, st.integers(0, 7), st.integers(0, 2**11 - 1))

    def log(chance, least, most):
        rows = draw(st.lists(row, min_size=least, max_size=most))
        again = draw(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 3)), max_size=4)) if rows else []
        # Exact duplicates, and exposures that differ in what is measured after them alone.
        rows += [(*rows[at % len(rows)][:3], rows[at % len(rows)][3] ^ other) for at, other in again]
        return [exposure(start, *values, chance) for values in rows]

    parameters = {
        "tasks": draw(st.lists(st.sampled_from(list(SIGNALS)), min_size=1, max_size=3, unique=True)),
        "sessions": draw(st.sampled_from(["week", "day", "user", "gap"])),
        "gap_minutes": draw(st.sampled_from([0.5, 61.0, 600.0])),
        "split": draw(splits),
        "min_count": draw(st.integers(1, 3)),
        "at_boundary": draw(st.sampled_from(["cut", "drop"])),
        "random_exposures": draw(st.booleans()),
    }
    random = log(1, 1, 12) if parameters["random_exposures"] else []
    return describe(Exposures(log(0, 16, 40), random, [], [], parameters), np.random.default_rng(draw(seeds)))


def expected_exposures(case):
    """Return the rows of the table by pandas: split, user, bucket and time."""
    kind, parts = case.parameters["sessions"], []
    for number, log in enumerate((case.standard, case.random)):
        if not log:
            continue
        rows = pd.DataFrame(log).drop_duplicates().rename(columns={"user_id": "user", "time_ms": "time"})
        rows = rows.sort_values(["time", "user"], kind="stable").reset_index(drop=True)
        days = (rows["time"] + 8 * HOUR_MS) // DAY_MS
        # Day 4 of the epoch was a Monday.
        rows["bucket"] = {"user": 0, "day": days, "week": (days - 4) // 7, "gap": None}[kind]
        if kind == "gap":
            rows["bucket"] = gap_buckets(rows, case.parameters["gap_minutes"])
        if number == 0:
            cuts = cuts_of(rows["time"].tolist(), case.parameters["split"])
        rows["split"] = split_by_time(rows["time"], cuts)
        if number == 1:
            rows = rows[rows["split"] == 2].assign(split=3)
        elif case.parameters["at_boundary"] == "drop":
            rows = without_crossing(rows)
        parts.append(rows[["split", "user", "bucket", "time"]])
    rows = pd.concat(parts)
    assume({0, 1, 2} <= set(rows["split"]))
    return rows


def with_other_signals(case, rng):
    """Give every distinct row of the logs other measurements; equal rows stay equal, and others different."""

    def changed(log):
        new = {}
        for row in log:
            other = measured(int(rng.integers(2**11))) | {"play_time_ms": 1 + 10 * len(new) + int(rng.integers(10))}
            new.setdefault(tuple(row.items()), {**row, **other})
        return [new[tuple(row.items())] for row in log]

    return replace(case, standard=changed(case.standard), random=changed(case.random))


def with_another_future(case, start, rng):
    """Give the rows from ``start`` on other videos and features and, where no session is dropped, other users."""

    def changed(log, videos):
        new = {}
        for row in log:
            user = row["user_id"] if case.parameters["at_boundary"] == "drop" else int(rng.choice([0, 1, 2, 998, 999]))
            other = {
                "user_id": user,
                "video_id": videos + len(new),
                "tab": int(rng.integers(9)),
                "duration_ms": int(rng.integers(10**6)),
            }
            new.setdefault(tuple(row.items()), {**row, **other})
        return [row if row["time_ms"] < start else new[tuple(row.items())] for row in log]

    later = replace(case, standard=changed(case.standard, 1000), random=changed(case.random, 2000))
    again = describe(later, rng)
    known = {"user_id": {row["user_id"] for row in case.standard if row["time_ms"] < start}}
    known["video_id"] = {row["video_id"] for row in case.standard if row["time_ms"] < start}

    def merged(key, old, new):
        return [row for row in old if row[key] in known[key]] + [row for row in new if row[key] not in known[key]]

    return replace(
        later, users=merged("user_id", case.users, again.users), videos=merged("video_id", case.videos, again.videos)
    )


@pytest.fixture
def kuairand(built, write_kuairand, tmp_path):
    def build(case):
        """Write the raw files of an example, and nothing else, and return the table."""
        shutil.rmtree(tmp_path / "kuairand-pure", ignore_errors=True)
        if case.random:
            log = KuaiRand().raw_files(write_kuairand(case.random))[0]
            log.rename(log.with_name("log_random_4_22_to_5_08_pure.csv"))
        return built(KuaiRand(**case.parameters), write_kuairand(case.standard, case.users, case.videos))

    return build


@examples
@given(data=st.data())
def test_no_row_of_kuairand_knows_of_what_comes_later(kuairand, minute, data):
    case = data.draw(exposures(minute(0)))
    rng = np.random.default_rng(data.draw(seeds))
    expected = expected_exposures(case)
    table = kuairand(case)

    check_table(table, "kuairand")
    assert_splits_follow_one_another(table)
    assert_no_session_in_two_splits(table, expected, case.parameters["at_boundary"])
    assert_labels_are_no_features(table)
    assert (RANDOM_EXPOSURES in table.splits) == bool((expected["split"] == 3).any())

    logs = {"standard": shuffled(case.standard, rng), "random": shuffled(case.random, rng)}
    features = {"users": shuffled(case.users, rng), "videos": shuffled(case.videos, rng)}
    again = kuairand(replace(case, **logs, **features))
    assert_equal(table, again, [*FEATURES, "labels"])
    assert table.notes == again.notes

    assert_equal(table, kuairand(with_other_signals(case, rng)), FEATURES)

    start = int(table.timestamp[table.split("test")].min())
    later = kuairand(with_another_future(case, start, rng))
    assert later.splits == table.splits
    assert_equal(table, later, OF_A_SPLIT, until=table.split("test").start)


# RetailRocket


@dataclass(frozen=True)
class Visits:
    """Events (minute, visitor, event, item), properties (minute, item, property, value), a tree and the parameters."""

    events: list[tuple[float, int, str, int]]
    properties: list[tuple[float, int, str, str]]
    tree: list[tuple[int, int | str]]
    parameters: dict[str, Any]


SLOT_MINUTES = 50
slots = st.integers(0, 120).map(lambda slot: slot * SLOT_MINUTES)
histories = st.tuples(
    slots,
    st.integers(0, 4),
    st.sampled_from(["categoryid"] * 4 + ["available", "785", "888"]),
    st.sampled_from(["", "", "1", "2", "3", "4", "n2.000", "10"]),
)


@st.composite
def visits(draw):
    visitors = st.integers(0, 4) | st.integers(100, 999)
    kinds = st.sampled_from([VIEW] * 4 + [CART, PAID])
    row = st.tuples(slots, visitors, kinds, st.integers(0, 4))
    events = draw(st.lists(row, min_size=20, max_size=50))
    # Exact duplicates, and what comes of a view: at its time, and one slot later.
    again = draw(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 1), kinds), max_size=12))
    for at, later, kind in again:
        when, visitor, _, item = events[at % len(events)]
        events.append((when + later * SLOT_MINUTES, visitor, kind, item))
    properties = draw(st.lists(histories, min_size=20, max_size=50))
    # Equal time stamps with another value.
    again = draw(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["", "1", "3"])), max_size=6))
    properties += [(*properties[at % len(properties)][:3], value) for at, value in again if properties]
    parents = draw(st.lists(st.sampled_from(["", "", 1, 2, 3, 4, 77]), min_size=4, max_size=4))
    parameters = {
        "sessions": draw(st.sampled_from(["gap", "visitor"])),
        "gap_minutes": draw(st.sampled_from([0.5, 50.0, 300.0])),
        "split": draw(splits),
        "min_session_rows": draw(st.sampled_from([1, 1, 2])),
        "max_session_rows": draw(st.sampled_from([0, 0, 4])),
        "min_count": draw(st.integers(1, 3)),
        "at_boundary": draw(st.sampled_from(["cut", "drop"])),
    }
    return Visits(events, [(0, 0, "categoryid", "1"), *properties], list(enumerate(parents, 1)), parameters)


def expected_views(case, minute):
    """Return the rows of the table by pandas, in their order: split, user, bucket, time and item."""
    events = pd.DataFrame(case.events, columns=["time", "user", "event", "item"]).drop_duplicates()
    events["time"] = events["time"].map(minute)
    events["is_view"] = events["event"] == VIEW
    events = events.sort_values(["time", "user", "item"], kind="stable").reset_index(drop=True)
    gap = case.parameters["sessions"] == "gap"
    events["bucket"] = gap_buckets(events, case.parameters["gap_minutes"]) if gap else 0
    views = events.groupby(["user", "bucket"])["is_view"].transform("sum")
    most = case.parameters["max_session_rows"] or len(events)
    rows = events[events["is_view"] & views.between(case.parameters["min_session_rows"], most)].copy()
    rows["split"] = split_by_time(rows["time"], cuts_of(rows["time"].tolist(), case.parameters["split"]))
    if case.parameters["at_boundary"] == "drop":
        rows = without_crossing(rows)
    assume({0, 1, 2} <= set(rows["split"]))
    rows["place"] = rows.index
    rows["first"] = rows.groupby(["split", "user", "bucket"])["place"].transform("min")
    return rows.sort_values(["split", "first", "place"]).reset_index(drop=True)


def expected_properties(case, rows, minute):
    """Return the value of each field as of each view, by :func:`pandas.merge_asof`; None where there is none."""
    columns = ["time", "item", "property", "value"]
    known = pd.DataFrame(case.properties, columns=columns).assign(time=lambda frame: frame["time"].map(minute))
    known = known.groupby(["time", "item", "property"], as_index=False)["value"].max()
    left = rows[["time", "item"]].reset_index().sort_values("time", kind="stable")
    found = {}
    for field, name in PROPERTIES.items():
        right = known[known["property"] == name].sort_values("time")[["time", "item", "value"]]
        values = pd.merge_asof(left, right, on="time", by="item").set_index("index").sort_index()["value"]
        found[field] = [None if pd.isna(value) or value == "" else value for value in values]
    tree = {str(category): str(parent) for category, parent in case.tree}
    found["root_category"] = [root_of(value, tree) for value in found["category"]]
    return found


def root_of(category, tree):
    """Return the root above a category that is in the tree, or None, also for one of a circle."""
    if category not in tree:
        return None
    passed = []
    while tree.get(category):
        if category in passed:
            return None
        passed.append(category)
        category = tree[category]
    return category


def ids_of(values, training_rows, min_count):
    """Return the id of each value and the size of the field: ids in the order of the training rows' values."""
    seen = Counter(value for value in values[:training_rows] if value is not None)
    ids = {value: number for number, value in enumerate(sorted(v for v in seen if seen[v] >= min_count), 1)}
    return [ids.get(value, 0) for value in values], len(ids) + 1


def assert_fields_are_as_of_the_view(table, rows, case, minute):
    fields = {
        "item": rows["item"].tolist(),
        "hour": (rows["time"] // HOUR_MS % 24).tolist(),
        "weekday": ((rows["time"] // DAY_MS + 3) % 7).tolist(),
        **expected_properties(case, rows, minute),
    }
    assert [field.name for field in table.schema.categorical] == list(fields)
    for column, field in enumerate(table.schema.categorical):
        ids, size = ids_of(fields[field.name], table.split_sizes[0], case.parameters["min_count"])
        assert (table.categorical[:, column].tolist(), field.size) == (ids, size), field.name


def with_other_outcomes(case, rng):
    """Let what was put into the cart be bought and the other way round, here and there."""
    return replace(
        case,
        events=[
            (when, visitor, kind if kind == VIEW else str(rng.choice([CART, PAID])), item)
            for when, visitor, kind, item in case.events
        ],
    )


def with_another_future_of_visits(case, time, start, minute, more, rng):
    """Change, add and leave out properties later than ``time``; let events from ``start`` on be of other items."""
    names = {}
    for event in case.events:
        if minute(event[0]) >= start:
            names.setdefault(event, 1000 + len(names))
    before = [row for row in case.properties if minute(row[0]) <= time]
    after = [(*row[:3], f"x{row[3]}") for row in case.properties if minute(row[0]) > time and rng.integers(2)]
    of_others = [(0, item, "categoryid", str(rng.integers(1, 9))) for item in names.values()]
    first = 1 + (time - minute(0)) / MINUTE_MS
    return replace(
        case,
        events=[(*event[:3], names.get(event, event[3])) for event in case.events],
        properties=[*before, *after, *of_others, *((first + when, *rest) for when, *rest in more)],
    )


@pytest.fixture
def retailrocket(built, write_retailrocket, tmp_path):
    def build(case):
        """Write the raw files of an example, and nothing else, and return the table."""
        shutil.rmtree(tmp_path / "retailrocket", ignore_errors=True)
        return built(RetailRocket(**case.parameters), write_retailrocket(case.events, case.properties, case.tree))

    return build


@examples
@given(case=visits(), more=st.lists(histories, max_size=5), seed=seeds)
def test_no_view_of_retailrocket_knows_of_what_comes_later(retailrocket, minute, case, more, seed):
    rng = np.random.default_rng(seed)
    expected = expected_views(case, minute)
    table = retailrocket(case)

    check_table(table, "retailrocket")
    assert_splits_follow_one_another(table)
    assert table.timestamp.tolist() == expected["time"].tolist()
    assert_no_session_in_two_splits(table, expected, case.parameters["at_boundary"])
    assert_labels_are_no_features(table)
    assert_fields_are_as_of_the_view(table, expected, case, minute)

    raw = {name: shuffled(getattr(case, name), rng) for name in ("events", "properties", "tree")}
    again = retailrocket(replace(case, **raw))
    assert_equal(table, again, [*FEATURES, "labels"])
    assert table.notes == again.notes

    assert_equal(table, retailrocket(with_other_outcomes(case, rng)), FEATURES)

    # A time from the last training row on, so that ids keep their meaning.
    times, start = table.timestamp[: table.split("test").start], int(table.timestamp[table.split("test")].min())
    time = int(rng.choice(times[times >= times[table.split("train")].max()]))
    later = retailrocket(with_another_future_of_visits(case, time, start, minute, more, rng))
    assert later.splits == table.splits
    assert later.schema == table.schema
    for name in (*OF_A_SPLIT, "user"):
        rows = times <= time if name == "categorical" else slice(len(times))
        np.testing.assert_array_equal(
            getattr(later, name)[: len(times)][rows], getattr(table, name)[: len(times)][rows], err_msg=name
        )
