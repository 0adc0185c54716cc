from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts import DataError, UsageError
from rmtl_bench.data.checks import check_table
from rmtl_bench_datasets.aliexpress import CATEGORICAL, NUMERICAL, AliExpress

SAMPLES = Path(__file__).parents[3].parent / "shared/data/format-samples"
COLUMNS = ["search_id", *CATEGORICAL, *NUMERICAL, "click", "conversion"]


def row(search_id, click=0, conversion=0, categorical=0, numerical=0.0):
    """A row of that page; what is given goes into the first column of its kind."""
    return [search_id, categorical, *[0] * 15, numerical, *[0.0] * 62, click, conversion]


def drawn_rows(pages, first=0, seed=0):
    random = np.random.default_rng(seed)
    rows = []
    for search_id in range(first, first + pages):
        for _ in range(random.integers(1, 6)):
            click = random.integers(2)
            values = [*random.integers(4, size=16), *random.random(63).round(6)]
            rows.append([search_id, *values, click, click * random.integers(2)])
    return rows


@pytest.fixture
def write(tmp_path):
    def files(train, test, folder="aliexpress/NL"):
        for name, rows in {"train.csv": train, "test.csv": test}.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
        return tmp_path

    return files


@pytest.fixture(scope="module")
def paged():
    """Pages whose number, as the first numerical value, tells them apart."""
    return [row(page, numerical=float(page), categorical=page % 3) for page in range(50) for _ in range(2)]


def pages_of(table, split):
    """The first numerical column of a split, in full precision enough to tell pages apart."""
    return set(np.round(table.numerical[table.split(split), 0], 4).tolist())


def test_conversion_is_the_joint_event_and_those_without_a_click_are_counted(built, write):
    train = [row(1, 1, 1), row(1, 1, 0), row(1, 0, 1), row(1, 0, 0)] * 2 + [row(n) for n in range(2, 30)]
    table = built(AliExpress(), write(train, [row(1)]))
    check_table(table, "aliexpress")
    assert [(task.name, task.parent) for task in table.schema.tasks] == [("click", None), ("conversion", "click")]
    labels = [tuple(labels) for labels in table.labels.astype(int).tolist()]
    assert {pair: labels.count(pair) for pair in set(labels)} == {(0, 0): 33, (1, 0): 2, (1, 1): 2}
    assert table.notes["conversions_without_click"] == 2


def test_a_page_is_a_session_of_one_split_and_its_own_user_and_no_field(built, write, paged):
    table = built(AliExpress(), write(paged, [row(7, numerical=7.0), row(7, numerical=7.0), row(99)]))
    check_table(table, "aliexpress")
    assert table.notes["search_ids_in_both_files"] == 1
    assert np.bincount(table.session).tolist() == [2] * 51 + [1]
    assert len(np.unique(table.user)) == 52
    assert set(table.session_end.tolist()) == {0, 1}
    assert not table.timestamp.any()
    assert [field.name for field in table.schema.categorical] == list(CATEGORICAL)
    assert table.schema.numerical == NUMERICAL
    assert not pages_of(table, "train") & pages_of(table, "valid")
    assert table.split_sizes[2] == 3


def test_validation_is_a_share_of_the_training_pages_by_their_number_alone(built, write):
    train = [row(page, numerical=page) for page in range(1000)]
    table = built(AliExpress(valid=0.3), write(train, [row(1)]))
    numbers = (int.from_bytes(hashlib.md5(str(page).encode()).digest()[:8], "little") for page in range(1000))  # noqa: S324
    assert table.split_sizes[1] == sum(number % 1_000_000 < 300_000 for number in numbers) == pytest.approx(300, abs=45)


def test_the_order_of_the_rows_in_the_files_does_not_matter(built, write, arrays):
    train, test = drawn_rows(40), drawn_rows(10, first=30, seed=1)
    first = arrays(built(AliExpress(), write(train, test)))
    random = np.random.default_rng(5)
    shuffled = [[rows[at] for at in random.permutation(len(rows))] for rows in (train, test)]
    second = arrays(built(AliExpress(), write(*shuffled)))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_a_vocabulary_is_fitted_on_the_training_split(built, write):
    train = [row(page, categorical=5) for page in range(30)]
    table = built(AliExpress(), write(train, [row(1, categorical=5), row(2, categorical=6), row(2, categorical=6)]))
    assert sorted(table.categorical[table.split("test"), 0].tolist()) == [0, 0, 1]
    assert table.notes["rows_in_files"] == {"train.csv": 30, "test.csv": 3}
    assert table.schema.categorical[0].size == 2


@pytest.mark.parametrize("folder", ["aliexpress/FR", "aliexpress/AliExpress_FR", "AliExpress_FR"])
def test_the_files_of_a_country_are_found_plain_or_gzipped(write, paged, gzipped, folder):
    data_dir = write(paged, [row(1)], folder)
    gzipped(data_dir / folder / "train.csv")
    assert [path.name for path in AliExpress(country="FR").raw_files(data_dir)] == ["train.csv.gz", "test.csv"]
    with pytest.raises(DataError, match="raw files are missing"):
        AliExpress(country="NL").raw_files(data_dir)


def test_missing_files_say_where_they_were_looked_for(tmp_path, built):
    with pytest.raises(DataError, match="aliexpress: raw files are missing") as error:
        built(AliExpress(country="ES"), tmp_path)
    assert str(tmp_path / "aliexpress/ES") in str(error.value)
    assert "train.csv, test.csv" in str(error.value)


def test_an_unknown_country_is_refused():
    with pytest.raises(UsageError, match="'country' is 'RU'; it takes one of NL, ES, FR, US"):
        AliExpress(country="RU")


@pytest.mark.parametrize(
    ("file", "column", "value", "message"),
    [
        ("train.csv", "search_id", "", "line 2, column 'search_id' is empty"),
        ("train.csv", "click", "2", "line 2, column 'click' is 2; it must be one of 0, 1"),
        ("test.csv", "numerical_5", "high", "line 2: column 'numerical_5' is 'high'; it must be a finite number"),
        ("test.csv", "categorical_3", "0.5", "line 2, column 'categorical_3' is 0.5; it must be a whole number"),
    ],
)
def test_a_malformed_value_is_one_line_that_names_it(built, write, paged, file, column, value, message):
    wrong = row(1)
    wrong[COLUMNS.index(column)] = value
    rows = {"train.csv": paged, "test.csv": [row(1)], file: [wrong, *paged]}
    data_dir = write(rows["train.csv"], rows["test.csv"])
    with pytest.raises(DataError) as error:
        built(AliExpress(), data_dir)
    assert str(error.value) == f"{data_dir / 'aliexpress/NL' / file}: {message}"


def test_a_missing_column_is_named(built, write, paged):
    data_dir = write(paged, [row(1)])
    path = data_dir / "aliexpress/NL/test.csv"
    path.write_text(path.read_text().replace("numerical_63", "numerical_64"))
    with pytest.raises(DataError, match=r"test\.csv: column 'numerical_63' is missing"):
        built(AliExpress(), data_dir)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the format samples are not beside this repository")
def test_the_format_sample_has_the_counts_that_pandas_finds(built, write, tmp_path):
    (tmp_path / "AliExpress_US").mkdir()
    frames = {}
    for part in ("train", "test"):
        text = (SAMPLES / f"aliexpress_{part}_sample.csv").read_text()
        (tmp_path / "AliExpress_US" / f"{part}.csv").write_text(text)
        frames[part] = pd.read_csv(SAMPLES / f"aliexpress_{part}_sample.csv")
    table = built(AliExpress(country="US"), tmp_path)
    check_table(table, "aliexpress")
    train, test = frames["train"], frames["test"]
    assert (sum(table.split_sizes[:2]), table.split_sizes[2]) == (len(train), len(test))
    assert len(np.unique(table.session)) == train.search_id.nunique() + test.search_id.nunique()
    for rows, frame in ((slice(0, len(train)), train), (table.split("test"), test)):
        joint = (frame.click * frame.conversion).sum()
        assert table.labels[rows].sum(axis=0).tolist() == [frame.click.sum(), joint]
    # A column standardised on the training rows is a linear map of the one that was read.
    read = np.concatenate([np.sort(train.numerical_35), np.sort(test.numerical_35)])
    built_column = table.numerical[:, NUMERICAL.index("numerical_35")]
    made = np.concatenate([np.sort(built_column[: len(train)]), np.sort(built_column[len(train) :])])
    assert np.corrcoef(read, made)[0, 1] == pytest.approx(1, abs=1e-6)
