from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts import DataError
from rmtl_bench.data.checks import check_table
from rmtl_bench_datasets.census_income import CATEGORICAL, NUMERICAL, CensusIncome

SAMPLES = Path(__file__).parents[3].parent / "shared/data/format-samples"
ABOVE, BELOW = "50000+.", "- 50000."
STATES = ["Never married", "Divorced", "Married-civilian spouse present", "Widowed"]

# The places of these columns in the official files, as its description counts them.
PLACES = {"age": 0, "education": 4, "marital status": 7, "instance weight": 24, "income": 41}


def person(income=BELOW, marital="Divorced", age=40, education="High school graduate", weight=1000.0):
    """A line of the official form: 42 values, a space before each."""
    values = ["Not in universe"] * 42
    for place in (5, 16, 17, 18, 30, 39):
        values[place] = "0"
    known = {"age": age, "education": education, "marital status": marital, "instance weight": weight, "income": income}
    for name, value in known.items():
        values[PLACES[name]] = str(value)
    return ", ".join(values)


def people(count, seed=0):
    random = np.random.default_rng(seed)
    return [
        person(
            str(random.choice([ABOVE, BELOW])),
            str(random.choice(STATES)),
            int(random.integers(80)),
            str(random.choice(["Children", "Some college but no degree", "?"])),
            float(random.integers(3)),
        )
        for _ in range(count)
    ]


@pytest.fixture
def write(tmp_path):
    def files(train, test, folder="census-income"):
        for name, lines in {"census-income.data": train, "census-income.test": test}.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n")
        return tmp_path

    return files


@pytest.fixture
def write_scaled(tmp_path):
    def files(**parts):
        """Write (age, education, never married, income) of each person in the scaled form."""
        columns = [*NUMERICAL, *CATEGORICAL, "marital status", "income"]
        for part, rows in parts.items():
            path = tmp_path / "census-income" / f"census_income_{part}.csv"
            path.parent.mkdir(exist_ok=True)
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns, restval=0, lineterminator="\n")
                writer.writeheader()
                names = ("age", "education", "marital status", "income")
                writer.writerows(dict(zip(names, row, strict=True)) for row in rows)
        return tmp_path

    return files


def names_of(table):
    return [field.name for field in table.schema.categorical] + list(table.schema.numerical)


# The official form


def test_the_labels_are_income_and_never_married_and_neither_is_the_others_parent(built, write):
    train = [person(ABOVE, "Never married"), person(BELOW, "Never married"), person(ABOVE), person(), person()]
    table = built(CensusIncome(), write(train, [person(BELOW, state) for state in STATES] * 5))
    check_table(table, "census-income")
    assert [(task.name, task.parent) for task in table.schema.tasks] == [("income", None), ("never-married", None)]
    labels = [tuple(labels) for labels in table.labels[table.split("train")].astype(int).tolist()]
    assert sorted(labels) == [(0, 0), (0, 0), (0, 1), (1, 0), (1, 1)]
    assert table.labels[5:].sum(axis=0).tolist() == [0, 5]


def test_labels_and_weight_are_no_fields_and_every_row_is_a_session_and_a_user(built, write):
    table = built(CensusIncome(), write(people(40), people(40, 1)))
    assert not {"income", "marital status", "instance weight", "never-married"} & set(names_of(table))
    assert (len(CATEGORICAL), len(NUMERICAL), len(names_of(table))) == (32, 7, 39)
    for column in (table.session, table.user):
        assert len(np.unique(column)) == len(table)
    assert (table.session_end == 1).all()
    assert not table.timestamp.any()


def test_the_test_file_is_halved_and_equal_rows_are_kept_and_drawn_apart(built, write):
    table = built(CensusIncome(), write([person()] * 3, [person()] * 400))
    check_table(table, "census-income")
    train, valid, test = table.split_sizes
    assert (train, valid + test) == (3, 400)
    assert valid == pytest.approx(200, abs=40)
    assert table.notes["rows_equal_to_another"] == 2 + 399
    assert table.notes["rows_in_files"] == {"census-income.data": 3, "census-income.test": 400}


def test_the_order_of_the_rows_in_the_files_does_not_matter(built, write, arrays):
    train, test = people(60), [*people(40, 1), *[person()] * 4]
    first = arrays(built(CensusIncome(), write(train, test)))
    random = np.random.default_rng(5)
    second = arrays(built(CensusIncome(), write(*(random.permutation(lines).tolist() for lines in (train, test)))))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_values_have_no_spaces_a_question_mark_is_missing_and_vocabularies_are_of_the_training_split(built, write):
    train = [person(education=value) for value in ("Children", "Children ", "?", "?", "Once")]
    test = [person(education=value) for value in ("Children", "?", "Never seen", "Never seen")] * 4
    table = built(CensusIncome(), write(train, test))
    education = table.categorical[:, CATEGORICAL.index("education")]
    assert sorted(education[:5].tolist()) == [0, 0, 0, 1, 1]
    assert np.bincount(education[5:]).tolist() == [12, 4]


def test_numbers_are_standardised_on_the_training_split(built, write):
    table = built(CensusIncome(), write([person(age=age) for age in (10, 30, "?")], [person(age=90)] * 8))
    assert sorted(table.numerical[:3, 0].tolist()) == pytest.approx([-1, 0, 1])
    assert table.numerical[3:, 0] == pytest.approx(7)


def test_gzipped_files_are_read_and_a_broken_one_is_an_error(built, write, gzipped):
    data_dir = write(people(20), people(20, 1))
    for path in CensusIncome().raw_files(data_dir):
        twin = gzipped(path)
    assert len(built(CensusIncome(), data_dir)) == 40
    twin.write_bytes(twin.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"census-income\.test\.gz: ") as error:
        built(CensusIncome(), data_dir)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (person(income="60000"), "column 'income' is '60000'; it must be one of - 50000., 50000+."),
        (person(marital="Single"), "column 'marital status' is 'Single'; it must be one of Never married, "),
        (person(marital="?"), "column 'marital status' is empty"),
        (person(age="old"), "column 'age' is 'old'; it must be a finite number"),
        (person(age="nan"), "column 'age' is 'nan'; it must be a finite number"),
    ],
)
def test_a_malformed_value_is_one_line_that_names_it(built, write, line, message):
    data_dir = write([person(), "", line], [person()])
    with pytest.raises(DataError) as error:
        built(CensusIncome(), data_dir)
    assert str(error.value).startswith(f"{data_dir / 'census-income/census-income.data'}: line 3, {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [(person()[:-40], "line 2: 39 values instead of 42; is the file cut short?"), (person() + ", 1", "line 2: 43 val")],
)
def test_a_line_of_another_length_is_an_error(built, write, line, message):
    with pytest.raises(DataError) as error:
        built(CensusIncome(), write([person()], [person(), line]))
    assert f"census-income.test: {message}" in str(error.value)


def test_an_empty_file_is_an_error(built, write):
    with pytest.raises(DataError, match=r"census-income\.test: the file is empty"):
        built(CensusIncome(), write([person()], []))


def test_missing_files_say_where_they_were_looked_for(tmp_path, built):
    with pytest.raises(DataError, match="census-income: raw files are missing") as error:
        built(CensusIncome(), tmp_path)
    assert f"looked for in: {tmp_path / 'census-income'}" in str(error.value)
    assert "census-income.data" in str(error.value)


# The scaled form


def test_the_scaled_form_has_never_married_as_1_and_its_validation_file_is_the_validation_split(built, write_scaled):
    parts = {"train": [(0.1, 3, 1, 0), (0.5, 3, 0, 1), (0.5, 4, 0, 0)], "val": [(0.2, 3, 1, 0)] * 4}
    table = built(CensusIncome(), write_scaled(**parts, test=[(0.2, 3, 1, 1)] * 5))
    check_table(table, "census-income")
    assert table.split_sizes == (3, 4, 5)
    assert table.labels[:3].sum(axis=0).tolist() == [1, 1]
    assert table.labels[3:].sum(axis=0).tolist() == [5, 9]
    assert not {"income", "marital status"} & set(names_of(table))
    assert table.notes["validation"] == "census_income_val.csv"


def test_without_that_file_the_test_file_is_halved(built, write_scaled):
    table = built(CensusIncome(), write_scaled(train=[(0.1, 3, 1, 0)], test=[(0.1, 3, 1, 0)] * 400))
    assert table.split_sizes[2] == pytest.approx(200, rel=0.25)


def test_a_marital_status_by_another_number_is_refused(built, write_scaled):
    data_dir = write_scaled(train=[(0.1, 3, 4, 0)], test=[(0.1, 3, 1, 0)])
    with pytest.raises(DataError, match="line 2, column 'marital status' is 4; it must be one of 0, 1"):
        built(CensusIncome(), data_dir)


def test_the_official_files_come_first(write, write_scaled):
    write_scaled(train=[(0.1, 3, 1, 0)], test=[(0.1, 3, 1, 0)])
    names = [path.name for path in CensusIncome().raw_files(write([person()], [person()]))]
    assert names == ["census-income.data", "census-income.test"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the format samples are not beside this repository")
def test_the_format_sample_has_the_counts_that_pandas_finds(built, tmp_path):
    frame = pd.read_csv(SAMPLES / "census_income_train_sample.csv")
    train, test = frame[:50], frame[50:]
    (tmp_path / "census-income").mkdir()
    for part, rows in (("train", train), ("test", test)):
        rows.to_csv(tmp_path / "census-income" / f"census_income_{part}.csv", index=False)
    table = built(CensusIncome(), tmp_path)
    check_table(table, "census-income")
    assert (table.split_sizes[0], sum(table.split_sizes[1:])) == (50, 30)
    for rows, part in ((slice(0, 50), train), (slice(50, 80), test)):
        assert table.labels[rows].sum(axis=0).tolist() == [part.income.sum(), part["marital status"].sum()]
        ages = (part.age - train.age.mean()) / train.age.std(ddof=0)
        assert np.sort(table.numerical[rows, 0]) == pytest.approx(np.sort(ages), abs=1e-5)
    # 1 is never married: these are the younger ones.
    never = table.labels[:, 1] == 1
    assert table.numerical[never, 0].mean() < table.numerical[~never, 0].mean() - 1
