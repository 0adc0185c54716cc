from __future__ import annotations

import numpy as np
import pytest

from rmtl_bench.contracts import DataError, Task
from rmtl_bench_datasets.columns import assemble, standardised
from rmtl_bench_datasets.workspace import run, workspace

TASKS = [Task("click")]
COLUMNS = """(split BIGINT, word VARCHAR, size DOUBLE, click BIGINT,
              session BIGINT, user_number BIGINT, time_ms BIGINT, session_end BIGINT)"""


@pytest.fixture
def table(tmp_path):
    def from_rows(*rows, min_count=1):
        """Build a table from (split, word, size, click)."""
        with workspace(tmp_path) as con:
            run(con, f"CREATE TABLE ordered {COLUMNS}")
            for number, row in enumerate(rows):
                con.execute("INSERT INTO ordered VALUES (?, ?, ?, ?, ?, 0, ?, 1)", (*row, number, number))
            return assemble(con, tmp_path, ["word"], ["size"], TASKS, min_count, {"source": "here"})

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


@pytest.mark.parametrize(("split", "name"), [(1, "valid"), (2, "test")])
def test_an_empty_split_is_an_error_that_names_it(table, split, name):
    with pytest.raises(DataError, match=f"the {name} split has no rows"):
        table(*TRAIN, (3 - split, "a", 1.0, 0))


@pytest.mark.parametrize("values", [[np.nan, np.nan, 1.0], [0.1, 0.1, 7.0], [np.nan, 2.0, 7.0]])
def test_a_number_that_does_not_vary_in_training_is_0(values):
    assert standardised(np.array(values), 2).tolist() == [0, 0, 0]
