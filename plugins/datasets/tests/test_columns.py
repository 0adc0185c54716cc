from __future__ import annotations

import numpy as np
import pytest

from rmtl_bench.contracts import DataError, Task
from rmtl_bench_datasets.columns import Attributes, assemble, standardised
from rmtl_bench_datasets.workspace import run, workspace

TASKS = [Task("click")]
COLUMNS = """(split BIGINT, word VARCHAR, size DOUBLE, click BIGINT, row BIGINT,
              session BIGINT, user_number BIGINT, time_ms BIGINT, session_end BIGINT)"""


@pytest.fixture
def table(tmp_path):
    def from_rows(*rows, min_count=1, extra_tests=()):
        """Build a table from (split, word, size, click)."""
        with workspace(tmp_path) as con:
            run(con, f"CREATE TABLE ordered {COLUMNS}")
            for number, row in enumerate(rows):
                con.execute("INSERT INTO ordered VALUES (?, ?, ?, ?, ?, ?, 0, ?, 1)", (*row, number, number, number))
            return assemble(
                con, tmp_path, ["word"], ["size"], TASKS, min_count, {"source": "here"}, extra_tests=extra_tests
            )

    return from_rows


TRAIN = ((0, "b", 1.0, 0), (0, "a", 3.0, 1), (0, "b", None, 0))


def test_a_vocabulary_knows_the_training_split_only(table):
    built = table(*TRAIN, (1, "c", 1.0, 0), (2, "a", 1.0, 0))
    assert built.categorical[:, 0].tolist() == [2, 1, 2, 0, 1]
    assert built.schema.categorical[0].size == 3


def test_a_rare_or_missing_value_has_id_0(table):
    built = table(*TRAIN, (0, None, 1.0, 0), (0, None, 1.0, 0), (1, "a", 1.0, 0), (2, None, 1.0, 0), min_count=2)
    assert built.categorical[:, 0].tolist() == [1, 0, 1, 0, 0, 0, 0]
    assert built.schema.categorical[0].size == 2


def test_numbers_are_standardised_on_the_training_split_and_missing_ones_are_the_mean(table):
    built = table(*TRAIN, (1, "a", 5.0, 0), (2, "a", None, 0))
    assert built.numerical[:, 0].tolist() == [-1, 1, 0, 3, 0]


def test_the_columns_have_the_types_of_the_contract(table):
    built = table(*TRAIN, (1, "c", 1.0, 0), (2, "a", 1.0, 0))
    assert [built.categorical.dtype, built.numerical.dtype, built.labels.dtype] == ["int32", "float32", "float32"]
    assert [built.session.dtype, built.user.dtype, built.timestamp.dtype] == ["int32", "int32", "int64"]
    assert built.session_end.dtype == "uint8"
    assert built.notes == {"source": "here", "sessions_cut_by_a_split": 0}


def test_what_depends_on_a_key_alone_is_the_same_as_if_it_stood_in_every_row(tmp_path):
    """Words by size, as attributes of the size and as a column of the rows."""
    rows = [(split, word, size) for split in (0, 0, 0, 1, 2) for word, size in (("b", 1.0), ("a", 2.0), (None, 3.0))]
    rows += [(0, "c", 4.0), (1, "d", 5.0), (2, None, 9.0)]
    tables = []
    for place, known in (("plain", ()), ("keyed", (Attributes("sizes", "size", ("word",), ("weight",)),))):
        scratch = tmp_path / place
        scratch.mkdir()
        with workspace(scratch) as con:
            run(con, f"CREATE TABLE ordered {COLUMNS}")
            for number, (split, word, size) in enumerate(sorted(rows, key=lambda row: row[0])):
                values = (split, None if known else word, size, 0, number, number, number)
                con.execute("INSERT INTO ordered VALUES (?, ?, ?, ?, ?, ?, 0, ?, 1)", values)
            words = "(1.0, 'b'), (2.0, 'a'), (3.0, NULL), (4.0, 'c'), (5.0, 'd')"
            run(con, f"CREATE TABLE sizes AS SELECT * FROM (VALUES {words}) t(size, word)")  # noqa: S608
            run(con, "ALTER TABLE sizes ADD COLUMN weight DOUBLE")
            run(con, "UPDATE sizes SET weight = size WHERE word IS NOT NULL")
            run(con, "CREATE VIEW weighed AS SELECT ordered.*, weight FROM ordered LEFT JOIN sizes USING (size)")
            relation = "ordered" if known else "weighed"
            tables.append(assemble(con, scratch, ["word"], ["weight"], TASKS, 2, {}, relation, known))
    plain, keyed = tables
    assert plain.schema == keyed.schema
    assert plain.schema.categorical[0].size == 3
    np.testing.assert_array_equal(plain.categorical, keyed.categorical)
    np.testing.assert_array_equal(plain.numerical, keyed.numerical)


def test_a_further_test_split_follows_and_one_without_rows_is_left_out(table):
    rows = (*TRAIN, (1, "a", 1.0, 0), (2, "a", 1.0, 0), (3, "b", 1.0, 1), (3, "z", 1.0, 1))
    built = table(*rows, extra_tests=["random", "none"])
    assert built.splits == {"train": 3, "valid": 1, "test": 1, "random": 2}
    assert built.categorical[built.split("random"), 0].tolist() == [2, 0]


@pytest.mark.parametrize(("split", "name"), [(1, "valid"), (2, "test")])
def test_an_empty_split_is_an_error_that_names_it(table, split, name):
    with pytest.raises(DataError, match=f"the {name} split has no rows"):
        table(*TRAIN, (3 - split, "a", 1.0, 0))


@pytest.mark.parametrize("values", [[np.nan, np.nan, 1.0], [0.1, 0.1, 7.0], [np.nan, 2.0, 7.0]])
def test_a_number_that_does_not_vary_in_training_is_0(values):
    assert standardised(np.array(values), 2).tolist() == [0, 0, 0]
