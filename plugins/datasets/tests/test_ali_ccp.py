from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts import DataError
from rmtl_bench.data.checks import check_table
from rmtl_bench_datasets.ali_ccp import CATEGORICAL, NUMERICAL, AliCCP

SAMPLES = Path(__file__).parents[3].parent / "shared/data/format-samples"
COLUMNS = ["click", "purchase", *CATEGORICAL, *NUMERICAL]


def row(user=1, click=0, purchase=0, item=0, number=0.0):
    """A row; the item goes into field 205 and the number into D109_14."""
    values = dict.fromkeys(COLUMNS, 0) | dict.fromkeys(NUMERICAL, 0.0)
    values |= {"101": user, "click": click, "purchase": purchase, "205": item, "D109_14": number}
    return list(values.values())


def drawn_rows(count, seed):
    random = np.random.default_rng(seed)
    clicks = random.integers(2, size=count)
    labels = np.column_stack([clicks, clicks * random.integers(2, size=count)])
    rows = np.column_stack([labels, random.integers(3, size=(count, 23)), random.random((count, 8)).round(4)])
    return [[int(value) for value in row[:25]] + row[25:] for row in rows.tolist()]


@pytest.fixture
def write(tmp_path):
    def files(folder="ali-ccp", **parts):
        for part, rows in parts.items():
            path = tmp_path / folder / f"ali_ccp_{part}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
        return tmp_path

    return files


def test_purchase_is_the_joint_event_and_those_without_a_click_are_counted(built, write):
    train = [row(click=1, purchase=1), row(click=1), row(purchase=1), row()] * 2
    table = built(AliCCP(), write(train=train, val=[row()], test=[row(purchase=1)]))
    check_table(table, "ali-ccp")
    assert [(task.name, task.parent) for task in table.schema.tasks] == [("click", None), ("purchase", "click")]
    labels = [tuple(labels) for labels in table.labels.astype(int).tolist()]
    assert {pair: labels.count(pair) for pair in set(labels)} == {(0, 0): 6, (1, 0): 2, (1, 1): 2}
    assert table.notes["purchases_without_click"] == 3


def test_a_row_is_a_session_and_a_user_is_field_101_unless_it_is_unknown(built, write):
    users = [5, 5, 6, 0, 0, ""]
    table = built(AliCCP(), write(train=[row(user) for user in users], val=[row(5)], test=[row(0)]))
    check_table(table, "ali-ccp")
    assert sorted(np.bincount(table.user).tolist()) == [1, 1, 1, 1, 1, 3]
    assert len(np.unique(table.session)) == len(table)
    assert (table.session_end == 1).all()
    assert not table.timestamp.any()
    assert table.notes["rows_of_unknown_users"] == 4
    # The labels are no fields; all fields of the files are.
    names = [field.name for field in table.schema.categorical] + list(table.schema.numerical)
    assert names == COLUMNS[2:]


def test_the_validation_file_is_the_validation_split(built, write):
    parts = {"train": [row(click=1)] * 6, "val": [row()] * 3, "test": [row()] * 4}
    table = built(AliCCP(), write(**parts))
    assert table.split_sizes == (6, 3, 4)
    assert table.labels.sum(axis=0).tolist() == [6, 0]
    assert table.notes["validation"] == "ali_ccp_val.csv"
    assert len(AliCCP().raw_files(write(**parts))) == 3


def test_without_it_validation_is_a_share_of_the_training_rows_and_equal_rows_are_drawn_apart(built, write):
    table = built(AliCCP(valid=0.3), write(train=[row()] * 1000, test=[row()] * 10))
    assert table.split_sizes[1] == pytest.approx(300, abs=45)
    assert table.split_sizes[2] == 10


def test_the_order_of_the_rows_in_the_files_does_not_matter(built, write, arrays):
    parts = {"train": drawn_rows(60, 0) + [row()] * 5, "test": drawn_rows(20, 1)}
    first = arrays(built(AliCCP(), write(**parts)))
    random = np.random.default_rng(5)
    shuffled = {part: [rows[at] for at in random.permutation(len(rows))] for part, rows in parts.items()}
    second = arrays(built(AliCCP(), write(**shuffled)))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_vocabulary_and_scale_are_fitted_on_the_training_split(built, write):
    train = [row(item=3, number=0.0), row(item=3, number=1.0), row(item=4, number=0.5)]
    table = built(AliCCP(), write(train=train, val=[row(item=8)] * 2, test=[row(item=3), row(item=4, number=2.0)]))
    items = table.categorical[:, CATEGORICAL.index("205")]
    assert sorted(items[table.split("train")].tolist()) == [0, 1, 1]
    assert items[table.split("valid")].tolist() == [0, 0]
    assert sorted(items[table.split("test")].tolist()) == [0, 1]
    numbers = table.numerical[:, 0]
    assert numbers[table.split("train")].mean() == pytest.approx(0, abs=1e-6)
    assert numbers.max() == pytest.approx(1.5 / np.std([0, 1, 0.5]), rel=1e-5)


def test_missing_files_say_where_they_were_looked_for(write, tmp_path, built):
    write(train=[row()], val=[row()])
    with pytest.raises(DataError, match="ali-ccp: raw files are missing") as error:
        built(AliCCP(), tmp_path)
    assert f"looked for in: {tmp_path / 'ali-ccp'}" in str(error.value)
    assert "ali_ccp_test.csv" in str(error.value)


@pytest.mark.parametrize(
    ("part", "column", "value", "message"),
    [
        ("train", "purchase", "", "line 2, column 'purchase' is empty"),
        ("val", "click", "-1", "line 2, column 'click' is -1; it must be one of 0, 1"),
        ("test", "D853", "inf", "line 2, column 'D853' is inf; it must be a finite number"),
        ("test", "205", "shoe", "line 2: column '205' is 'shoe'; it must be a whole number"),
    ],
)
def test_a_malformed_value_is_one_line_that_names_it(built, write, part, column, value, message):
    wrong = row()
    wrong[COLUMNS.index(column)] = value
    data_dir = write(**{"train": [row()], "val": [row()], "test": [row()], part: [wrong]})
    with pytest.raises(DataError) as error:
        built(AliCCP(), data_dir)
    assert str(error.value) == f"{data_dir / 'ali-ccp' / f'ali_ccp_{part}.csv'}: {message}"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the format samples are not beside this repository")
def test_the_format_sample_has_the_counts_that_pandas_finds(built, tmp_path):
    frame = pd.read_csv(SAMPLES / "ali_ccp_train_sample.csv")
    train, test = frame[:70], frame[70:]
    (tmp_path / "ali-ccp").mkdir()
    for part, rows in (("train", train), ("test", test)):
        rows.to_csv(tmp_path / "ali-ccp" / f"ali_ccp_{part}.csv", index=False)
    table = built(AliCCP(min_count=1), tmp_path)
    check_table(table, "ali-ccp")
    assert (sum(table.split_sizes[:2]), table.split_sizes[2]) == (70, 30)
    for rows, part in ((slice(0, 70), train), (table.split("test"), test)):
        assert table.labels[rows].sum(axis=0).tolist() == [part.click.sum(), (part.click * part.purchase).sum()]
        items = table.categorical[rows, CATEGORICAL.index("207")]
        assert len(np.unique(items)) <= part["207"].nunique() + 1
    assert len(np.unique(table.user)) == frame["101"].nunique()
