from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts import DataError, UsageError
from rmtl_bench.data.checks import check_table
from rmtl_bench_datasets.kuairand import (
    CATEGORICAL,
    NUMERICAL,
    SIGNALS,
    KuaiRand,
    KuaiRand1K,
    KuaiRand27K,
    KuaiRandPureSample,
)

NOWHERE = Path("no-raw-files")
DAY_MS = 86_400_000
GAP_MINUTES = 600.0


@pytest.fixture(scope="module")
def random_log() -> pd.DataFrame:
    """300 exposures of 12 users in 14 days, each at a time of its own."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"user_id": random.integers(0, 12, 300), "video_id": random.integers(0, 25, 300)})
    rows["time_ms"] = 1_650_816_000_000 + np.sort(random.choice(14 * DAY_MS, 300, replace=False))
    beijing = pd.to_datetime(rows["time_ms"], unit="ms", utc=True).dt.tz_convert(
        datetime.timezone(datetime.timedelta(hours=8))
    )
    rows["date"] = beijing.dt.strftime("%Y%m%d").astype(int)
    rows["hourmin"] = beijing.dt.hour * 100
    rows["is_click"] = random.integers(0, 2, 300)
    rows["long_view"] = random.integers(0, 2, 300)
    rows["duration_ms"] = random.integers(0, 200_000, 300)
    return rows.sample(frac=1, random_state=1)


def spaced(minute, *rows, n=20):
    """``n`` exposures a minute apart, alike but for what ``rows`` say of the first ones."""
    return [{"time_ms": minute(at), **(rows[at] if at < len(rows) else {})} for at in range(n)]


def field(table, name):
    return table.categorical[:, CATEGORICAL.index(name)]


# The embedded sample


def test_the_sample_keeps_what_a_table_promises(sample):
    check_table(sample, "kuairand-pure-sample")


def test_the_sample_has_its_distinct_rows(sample):
    assert len(sample) == 222_869
    assert sample.notes["rows_logged"] == 228_329
    assert sample.notes["rows_distinct"] == 222_869


def test_the_sample_is_split_6_2_2_in_the_order_of_time(sample):
    assert np.array(sample.split_sizes) / len(sample) == pytest.approx([0.6, 0.2, 0.2], abs=1e-4)
    assert sample.timestamp[sample.split("train")].max() < sample.timestamp[sample.split("valid")].min()
    assert sample.timestamp[sample.split("valid")].max() < sample.timestamp[sample.split("test")].min()


def test_the_sample_has_25156_users_and_34_fields(sample):
    assert len(np.unique(sample.user)) == 25_156
    assert len(sample.schema.categorical) == 34
    assert sample.schema.numerical == NUMERICAL


def test_the_sessions_of_the_sample_are_44309_weeks_of_users_and_the_parts_a_split_cuts_off(sample):
    assert np.count_nonzero(sample.session_end == 1) == 44_309
    assert sample.notes["sessions_cut_by_a_split"] == np.count_nonzero(sample.session_end == 2)


def test_numbers_of_the_sample_are_standardised_on_train(sample):
    train = sample.numerical[sample.split("train")].astype(np.float64)
    assert train.mean(axis=0) == pytest.approx(np.zeros(len(NUMERICAL)), abs=1e-6)
    assert train.std(axis=0) == pytest.approx(np.ones(len(NUMERICAL)), abs=1e-5)


def test_every_id_of_the_sample_stands_in_train(sample):
    for column, categorical in enumerate(sample.schema.categorical):
        assert set(range(1, categorical.size)) <= set(sample.categorical[sample.split("train"), column].tolist())


def test_the_sample_reads_no_folder_of_the_user(tmp_path):
    assert {path.parent.name for path in KuaiRandPureSample().raw_files(tmp_path)} == {"kuairand-pure"}
    assert all(path.is_file() for path in KuaiRandPureSample().raw_files(tmp_path))


def test_two_builds_are_equal(built, arrays):
    first, second = (built(KuaiRandPureSample(users=0.02), NOWHERE) for _ in range(2))
    assert first.schema == second.schema
    assert first.notes == second.notes
    for name, array in arrays(first).items():
        np.testing.assert_array_equal(array, arrays(second)[name], err_msg=name)


# Rows, sessions and splits


@pytest.mark.parametrize("sessions", ["week", "day", "user", "gap"])
def test_sessions_and_splits_are_those_of_pandas(built, write_kuairand, random_log, sessions):
    folder = write_kuairand(random_log.to_dict("records"))
    table = built(KuaiRand(sessions=sessions, gap_minutes=GAP_MINUTES), folder)
    check_table(table, sessions)

    rows = random_log.sort_values("time_ms").reset_index(drop=True)
    rows["split"] = (rows.index >= 180).astype(int) + (rows.index >= 240)
    pause = rows.groupby("user_id")["time_ms"].diff()
    rows["bucket"] = {
        "week": pd.to_datetime(rows["date"].astype(str)).dt.isocalendar()["week"],
        "day": rows["date"],
        "user": 0,
        "gap": (pause > GAP_MINUTES * 60_000).groupby(rows["user_id"]).cumsum(),
    }[sessions]
    rows["last_split"] = rows.groupby(["user_id", "bucket"])["split"].transform("max")
    part = rows.groupby(["user_id", "bucket", "split"])["time_ms"]
    rows["start"], rows["end"] = part.transform("min"), part.transform("max")
    rows = rows.sort_values(["split", "start", "time_ms"])
    ends = np.where(rows["time_ms"] < rows["end"], 0, np.where(rows["split"] < rows["last_split"], 2, 1))

    assert table.split_sizes == (180, 60, 60)
    assert table.timestamp.tolist() == rows["time_ms"].tolist()
    assert table.user.tolist() == (rows["user_id"].rank(method="dense").astype(int) - 1).tolist()
    assert table.session.tolist() == pd.factorize(rows["start"])[0].tolist()
    assert table.session_end.tolist() == ends.tolist()
    assert table.labels[:, 0].tolist() == rows["is_click"].tolist()
    assert table.labels[:, 1].tolist() == (rows["is_click"] * rows["long_view"]).tolist()


def test_a_session_cut_by_a_split_is_marked_2(built, write_kuairand, minute):
    table = built(KuaiRand(), write_kuairand(spaced(minute, n=10)))
    assert table.session.tolist() == [0] * 6 + [1] * 2 + [2] * 2
    assert table.session_end.tolist() == [0, 0, 0, 0, 0, 2, 0, 2, 0, 1]
    assert table.notes["sessions_cut_by_a_split"] == 2


def test_exact_duplicates_are_dropped_and_near_ones_kept(built, write_kuairand, minute):
    first, *rest = spaced(minute)
    table = built(KuaiRand(), write_kuairand([first, first, {**first, "is_like": 1}, *rest]))
    assert table.notes["rows_logged"] == 22
    assert len(table) == 21


def test_both_logs_are_read_and_a_row_of_both_counts_once(built, write_kuairand, minute):
    rows = spaced(minute)
    write_kuairand(rows[:12], days="4_08_to_4_21")
    table = built(KuaiRand(), write_kuairand(rows[10:]))
    assert len(table) == 20
    assert table.notes["logs"] == ["log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv"]
    assert table.notes["logs_missing"] == []


def test_a_log_that_is_missing_is_noted(built, write_kuairand, minute):
    table = built(KuaiRand(), write_kuairand(spaced(minute), days="4_08_to_4_21"))
    assert table.notes["logs_missing"] == ["log_standard_4_22_to_5_08_pure.csv"]


def test_gzipped_files_give_the_same_table(built, write_kuairand, random_log, gzipped, arrays):
    folder = write_kuairand(random_log.to_dict("records"))
    plain = built(KuaiRand(), folder)
    for path in KuaiRand().raw_files(folder):
        gzipped(path)
    assert all(path.suffix == ".gz" for path in KuaiRand().raw_files(folder))
    again = arrays(built(KuaiRand(), folder))
    for name, array in arrays(plain).items():
        np.testing.assert_array_equal(array, again[name], err_msg=name)


def test_kuairand_1k_has_its_own_names_and_may_lie_as_the_archive_unpacks(built, write_kuairand, minute):
    folder = write_kuairand(spaced(minute), folder="KuaiRand-1K/data", suffix="1k")
    assert len(built(KuaiRand1K(), folder)) == 20
    assert {path.parent for path in KuaiRand1K().raw_files(folder)} == {folder / "KuaiRand-1K" / "data"}


def test_kuairand_27k_comes_in_two_parts(built, write_kuairand, minute):
    rows = spaced(minute)
    write_kuairand(rows[:12], folder="kuairand-27k", suffix="27k_part1")
    folder = write_kuairand(rows[12:], folder="kuairand-27k", suffix="27k_part2")
    for name in ("user_features", "video_features_basic"):
        (folder / "kuairand-27k" / f"{name}_27k_part2.csv").rename(folder / "kuairand-27k" / f"{name}_27k.csv")
    table = built(KuaiRand27K(), folder)
    assert len(table) == 20
    assert table.notes["logs_missing"] == [f"log_standard_4_08_to_4_21_27k_part{part}.csv" for part in (1, 2)]


def test_a_session_that_a_split_parts_can_be_dropped(built, write_kuairand, minute):
    users = [1, *range(10, 20), 2, 2, 1, *range(20, 26)]
    folder = write_kuairand([{"user_id": user, "time_ms": minute(at)} for at, user in enumerate(users)])
    cut, dropped = (built(KuaiRand(sessions="user", at_boundary=kind), folder) for kind in ("cut", "drop"))
    check_table(dropped, "dropped")
    assert cut.notes["sessions_cut_by_a_split"] == 2
    assert (len(cut), len(dropped)) == (20, 16)
    assert dropped.notes["sessions_dropped_at_a_split"] == 2
    assert dropped.notes["rows_dropped_at_a_split"] == 4
    assert 2 not in dropped.session_end


# Random exposures


@pytest.fixture
def with_random_log(write_kuairand, minute):
    """Thirty standard exposures, a minute apart, and random ones of the same minutes, half a minute later."""

    def write(**changed):
        chance = [{"time_ms": minute(at + 0.5), "is_rand": 1, "video_id": 3, "user_id": at % 3} for at in range(30)]
        folder = write_kuairand([row | changed for row in chance], days="random")
        place = folder / "kuairand-pure"
        (place / "log_standard_random_pure.csv").rename(place / "log_random_4_22_to_5_08_pure.csv")
        return write_kuairand([{"time_ms": minute(at), "user_id": at % 3, "video_id": at % 2} for at in range(30)])

    return write


def test_random_exposures_of_the_test_period_are_a_test_split_of_their_own(built, with_random_log):
    table = built(KuaiRand(random_exposures=True), with_random_log())
    check_table(table, "with random exposures")
    assert table.splits == {"train": 18, "valid": 6, "test": 6, "random-exposure": 6}
    assert table.timestamp[table.split("random-exposure")].min() > table.timestamp[table.split("test")].min()
    assert table.notes["random_exposures_before_the_test_period"] == 24


def test_random_exposures_change_nothing_of_the_other_splits(built, with_random_log, arrays):
    folder = with_random_log(is_click=1)
    plain, more = built(KuaiRand(), folder), built(KuaiRand(random_exposures=True), folder)
    assert plain.schema == more.schema
    for name, array in arrays(plain).items():
        np.testing.assert_array_equal(array, arrays(more)[name][: len(plain)], err_msg=name)
    assert more.labels[more.split("random-exposure"), 0].all()


def test_the_vocabulary_knows_no_random_exposure(built, with_random_log):
    table = built(KuaiRand(random_exposures=True, min_count=1), with_random_log())
    assert not field(table, "video_id")[table.split("random-exposure")].any()


def test_random_exposures_that_are_asked_for_and_not_there_are_missing_files(built, write_kuairand, minute):
    with pytest.raises(DataError, match=r"log_random_4_22_to_5_08_pure\.csv"):
        built(KuaiRand(random_exposures=True), write_kuairand(spaced(minute)))


# Labels


def test_a_long_view_without_a_click_is_no_long_view(built, write_kuairand, minute):
    signals = [{"is_click": click, "long_view": view} for click in (0, 1) for view in (0, 1)]
    table = built(KuaiRand(), write_kuairand(spaced(minute, *signals)))
    assert table.labels[:4].tolist() == [[0, 0], [0, 0], [1, 0], [1, 1]]
    assert [task.parent for task in table.schema.tasks] == [None, "click"]
    assert table.notes["labels"] == "joint with click"


def test_without_click_the_labels_are_as_logged(built, write_kuairand, minute):
    table = built(KuaiRand(tasks=["long-view"]), write_kuairand(spaced(minute, {"long_view": 1}, {"is_click": 1})))
    assert table.labels[:3, 0].tolist() == [1, 0, 0]
    assert table.schema.tasks[0].parent is None
    assert table.notes["labels"] == "as logged"


def test_every_signal_can_be_a_task_and_click_comes_first(built, write_kuairand, minute):
    names = [name for name in SIGNALS if name != "click"]
    said = {
        "play": {"play_time_ms": 10},
        "complete-play": {"play_time_ms": 1000, "duration_ms": 1000},
        "profile-stay": {"profile_stay_time": 1},
        "comment-stay": {"comment_stay_time": 1},
    }
    rows = [{**said.get(name, {SIGNALS[name]: 1}), "is_click": 1} for name in names]
    table = built(KuaiRand(tasks=[*names, "click"]), write_kuairand(spaced(minute, *rows)))
    assert table.schema.task_names == ("click", *names)
    expected = np.eye(len(names))
    # Who plays a video to its end has played it.
    expected[names.index("complete-play"), names.index("play")] = 1
    np.testing.assert_array_equal(table.labels[: len(names), 1:], expected)


def test_twelve_signals_can_be_tasks():
    assert len(SIGNALS) == 12


def test_a_time_that_is_missing_is_no_signal(built, write_kuairand, minute):
    rows = [{"play_time_ms": "", "duration_ms": "", "profile_stay_time": "", "comment_stay_time": ""}]
    names = ["play", "complete-play", "profile-stay", "comment-stay"]
    table = built(KuaiRand(tasks=names), write_kuairand(spaced(minute, *rows)))
    assert not table.labels[0].any()


@pytest.mark.parametrize("clicks", [(0, 1), (1, 0)])
def test_the_order_of_rows_of_one_time_follows_no_label(built, write_kuairand, minute, clicks):
    same = [{"time_ms": minute(0), "tab": tab, "is_click": click} for tab, click in zip((1, 2), clicks, strict=True)]
    table = built(KuaiRand(min_count=1), write_kuairand([*same, *spaced(minute)[1:]]))
    assert field(table, "tab")[:2].tolist() == [1, 2]
    assert table.labels[:2, 0].tolist() == list(clicks)


def test_a_video_of_no_length_is_never_played_to_its_end(built, write_kuairand, minute):
    rows = [{"play_time_ms": 5, "duration_ms": 0}, {"play_time_ms": 5, "duration_ms": 5}]
    table = built(KuaiRand(tasks=["complete-play"]), write_kuairand(spaced(minute, *rows)))
    assert table.labels[:2, 0].tolist() == [0, 1]


@pytest.mark.parametrize("tasks", [[], ["click", "click"]])
def test_no_task_or_one_twice_is_refused(tasks):
    with pytest.raises(UsageError, match="parameter 'tasks'"):
        KuaiRand(tasks=tasks)


# Features


def test_vocabularies_are_fitted_on_the_training_split(built, write_kuairand, minute):
    videos = [5, 5, 9, *[6] * 9, 6, 9, 5, 8, 8, 8, 9, 5]
    rows = spaced(minute, *({"video_id": video} for video in videos))
    seen_twice = field(built(KuaiRand(), write_kuairand(rows)), "video_id")
    assert seen_twice.tolist() == [{5: 1, 6: 2}.get(video, 0) for video in videos]
    seen_once = field(built(KuaiRand(min_count=1), write_kuairand(rows)), "video_id")
    assert seen_once.tolist() == [{5: 1, 6: 2, 9: 3}.get(video, 0) for video in videos]


def test_the_first_of_several_tags_and_the_hour_are_fields(built, write_kuairand, minute):
    tags = {0: "39,2", 1: "39", 2: "2", 3: ""}
    rows = spaced(minute, *({"video_id": at % 4, "hourmin": 100 * (at % 2) + 30 * (at % 4 // 2)} for at in range(20)))
    table = built(KuaiRand(), write_kuairand(rows, videos=[{"video_id": v, "tag": tag} for v, tag in tags.items()]))
    assert field(table, "tag")[:4].tolist() == [2, 2, 1, 0]
    assert field(table, "hour")[:4].tolist() == [1, 2, 1, 2]


def test_numbers_are_logarithms_standardised_on_train(built, write_kuairand, random_log):
    table = built(KuaiRand(), write_kuairand(random_log.to_dict("records")))
    by_time = random_log.set_index("time_ms")["duration_ms"]
    logarithms = np.log1p(by_time.loc[table.timestamp].to_numpy())
    expected = (logarithms - logarithms[:180].mean()) / logarithms[:180].std()
    np.testing.assert_allclose(table.numerical[:, 0], expected, atol=1e-6)


def test_a_missing_number_is_the_mean_and_a_negative_one_counts_as_0(built, write_kuairand, minute):
    durations = ["", 0, -5, 1000, 10]
    table = built(KuaiRand(), write_kuairand(spaced(minute, *({"duration_ms": number} for number in durations))))
    missing, zero, negative, *_ = table.numerical[:, NUMERICAL.index("duration")].tolist()
    assert missing == 0
    assert zero == negative < -1


def test_a_user_or_video_without_features_has_id_0_and_mean_numbers(built, write_kuairand, minute):
    rows = spaced(minute, *({"user_id": at % 3, "video_id": at % 3} for at in range(20)))
    users = [{"user_id": 0, "fans_user_num": 10}, {"user_id": 1, "fans_user_num": 1000}]
    table = built(KuaiRand(), write_kuairand(rows, users=users, videos=[{"video_id": 0}, {"video_id": 1}]))
    assert len(table) == 20
    unknown = table.user == 2
    assert not field(table, "author_id")[unknown].any()
    assert not field(table, "user_active_degree")[unknown].any()
    assert not table.numerical[unknown, NUMERICAL.index("fans_user_num")].any()
    assert table.numerical[~unknown, NUMERICAL.index("fans_user_num")].all()


@pytest.mark.parametrize(("share", "kept"), [(0.5, 2), (0.07, 1), (0.071, 2), (0.501, 3), (1.0, 4)])
def test_a_share_of_the_users_is_taken_by_their_id(built, write_kuairand, minute, share, kept):
    ids = (3_000, 4_070, 500, 999)
    rows = spaced(minute, *({"user_id": ids[at % 4]} for at in range(40)), n=40)
    assert len(built(KuaiRand(users=share), write_kuairand(rows))) == 10 * kept


def test_a_share_without_users_is_an_error(built, write_kuairand, minute):
    with pytest.raises(DataError, match=r"no rows are left with users = 0\.01"):
        built(KuaiRand(users=0.01), write_kuairand(spaced(minute, *[{"user_id": 500}] * 20)))


# Errors


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("log_standard", lambda text: text[:-20], r"line 21: \d+ columns instead of 19; is the file cut short\?"),
        ("log_standard", lambda text: text.replace("is_click", "clicked"), "column 'is_click' is missing"),
        ("log_standard", lambda text: "", "the file is empty"),
        ("log_standard", lambda text: text.splitlines()[0], "the file has no rows"),
        (
            "log_standard",
            lambda text: text.replace(",1300,1650816060000,0,", ",1300,1650816060000,2,"),
            r"line 3, column 'is_click' is 2; it must be one of 0, 1",
        ),
        (
            "log_standard",
            lambda text: text.replace("1650816060000", "yesterday"),
            "line 3: column 'time_ms' is 'yesterday'; it must be a whole number",
        ),
        (
            "user_features",
            lambda text: text.replace(",5,", ",many,"),
            "line 2: column 'follow_user_num' is 'many'; it must be a finite number",
        ),
        ("user_features", lambda text: text + text.splitlines()[1], "column 'user_id' has value 0 twice"),
        ("user_features", lambda text: text.replace("onehot_feat17", "x"), "column 'onehot_feat17' is missing"),
        ("video_features", lambda text: text + text.splitlines()[1], "column 'video_id' has value 0 twice"),
        ("video_features", lambda text: text[:-30], "line 2: 7 columns instead of 12"),
    ],
)
def test_a_malformed_file_is_one_line_that_names_it(built, write_kuairand, minute, file, edit, message):
    folder = write_kuairand(spaced(minute))
    (path,) = (path for path in KuaiRand().raw_files(folder) if path.name.startswith(file))
    text = path.read_text()
    path.write_text(edit(text))
    assert path.read_text() != text
    with pytest.raises(DataError, match=message) as error:
        built(KuaiRand(), folder)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cut", [1, 40])
def test_a_gzipped_log_cut_short_is_one_line_that_names_it(built, write_kuairand, minute, gzipped, cut):
    folder = write_kuairand(spaced(minute))
    log = gzipped(KuaiRand().raw_files(folder)[0])
    log.write_bytes(log.read_bytes()[:-cut])
    with pytest.raises(DataError) as error:
        built(KuaiRand(), folder)
    assert str(error.value).startswith(f"{log}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        (KuaiRand, "user_features_pure.csv"),
        (KuaiRand1K, "user_features_1k.csv"),
        (KuaiRand27K, "log_standard_4_22_to_5_08_27k_part2.csv"),
    ],
)
def test_missing_files_say_where_they_were_looked_for(tmp_path, kind, file):
    folder = tmp_path / "my data"
    for call in (kind().raw_files, lambda place: kind().build(place, tmp_path)):
        with pytest.raises(DataError, match="raw files are missing") as error:
            call(folder)
        assert file in str(error.value)
        assert f"looked for in: {folder / 'kuairand-'}" in str(error.value)


def test_files_without_the_users_are_missing_files(built, write_kuairand, minute):
    folder = write_kuairand(spaced(minute))
    KuaiRand().raw_files(folder)[1].unlink()
    with pytest.raises(DataError, match="raw files are missing"):
        built(KuaiRand(), folder)
