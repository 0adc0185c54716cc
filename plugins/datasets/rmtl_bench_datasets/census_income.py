"""Census-Income (KDD): who earns more than 50,000 dollars a year, and who never married.

UCI data set 117 (https://archive.ics.uci.edu/dataset/117/census+income+kdd, https://doi.org/10.24432/C5N30T), CC BY
4.0: answers to the current population surveys of the U.S. Census Bureau of 1994 and 1995, 199,523 people to train and
99,762 to test. Its two labels, of no order between them, are the first public benchmark of Ma, Zhao, Yi, Chen, Hong and
Chi, *Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts*, KDD 2018.

Two forms are read: the official files, 42 columns without a header, in which ``?`` is a missing value; and what
torch-rechub's preprocess_census.py makes of them: CSV files without the instance weight, categorical values by number,
numerical ones scaled to [0, 1], income 1 for more than 50,000 and marital status 1 for never married.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.schema import Task
from rmtl_bench_datasets.columns import assemble
from rmtl_bench_datasets.content import drawn, number_rows
from rmtl_bench_datasets.delimited import read_delimited
from rmtl_bench_datasets.rawfiles import find_file, missing_files
from rmtl_bench_datasets.sessions import lay_out
from rmtl_bench_datasets.workspace import FLAG, NUMBER, TEXT, Column, read_csv, run, workspace

NUMERICAL = (
    "age",
    "wage per hour",
    "capital gains",
    "capital losses",
    "divdends from stocks",
    "num persons worked for employer",
    "weeks worked in year",
)
"""The numerical fields, by the names of the data set, spelling included."""

_INCOME = ("- 50000.", "50000+.")
_MARITAL = (
    "Never married",
    "Married-civilian spouse present",
    "Married-spouse absent",
    "Married-A F spouse present",
    "Separated",
    "Divorced",
    "Widowed",
)

# In the order of the official files.
_NAMES = (
    "age",
    "class of worker",
    "industry code",
    "occupation code",
    "education",
    "wage per hour",
    "enrolled in edu inst last wk",
    "marital status",
    "major industry code",
    "major occupation code",
    "race",
    "hispanic origin",
    "sex",
    "member of a labor union",
    "reason for unemployment",
    "full or part time employment stat",
    "capital gains",
    "capital losses",
    "divdends from stocks",
    "tax filer status",
    "region of previous residence",
    "state of previous residence",
    "detailed household and family stat",
    "detailed household summary in household",
    "instance weight",
    "migration code-change in msa",
    "migration code-change in reg",
    "migration code-move within reg",
    "live in this house 1 year ago",
    "migration prev res in sunbelt",
    "num persons worked for employer",
    "family members under 18",
    "country of birth father",
    "country of birth mother",
    "country of birth self",
    "citizenship",
    "own business or self employed",
    "fill inc questionnaire for veterans admin",
    "veterans benefits",
    "weeks worked in year",
    "year",
    "income",
)
_NO_FIELDS = ("marital status", "instance weight", "income")

CATEGORICAL = tuple(name for name in _NAMES if name not in (*NUMERICAL, *_NO_FIELDS))
"""The categorical fields: all but the numerical ones, the two labels, and the weight, which the owner forbids."""

_FEATURES = {name: NUMBER if name in NUMERICAL else TEXT for name in _NAMES if name not in _NO_FIELDS}
_OFFICIAL: Mapping[str, Column] = {
    name: {
        **_FEATURES,
        "marital status": Column(required=True, values=_MARITAL),
        "instance weight": NUMBER,
        "income": Column(required=True, values=_INCOME),
    }[name]
    for name in _NAMES
}
_SCALED: Mapping[str, Column] = {**_FEATURES, "marital status": FLAG, "income": FLAG}

_TASKS = [
    Task("income", None, "earns more than 50,000 dollars a year"),
    Task("never-married", None, "marital status: never married"),
]

_EXAMPLES = """
    CREATE VIEW examples AS
    SELECT
        source_row, tie, tie AS user_key, 0 AS bucket, 0::BIGINT AS time_ms,
        CASE WHEN file = 2 AND {validation} THEN 1 ELSE file END AS split
    FROM numbered
"""

_DESCRIBED = """
    CREATE VIEW described AS
    SELECT
        ordered.*, {fields},
        ("income" = {earns_more})::INTEGER AS "income",
        ("marital status" = {never})::INTEGER AS "never-married"
    FROM ordered JOIN people ON ordered.source_row = people.rowid
"""


@dataclass(frozen=True)
class _Files:
    """The raw files by the number of their split, and in which form they are."""

    paths: Mapping[int, Path]
    official: bool


class CensusIncome(Dataset):
    """Census-Income (KDD): every person is a row; the tasks are income (more than 50,000 dollars) and never-married.

    Neither is the other's parent; income and marital status are no features, and the instance weight is none, as the
    owner asks. There are no sessions, users or times: every row is a session and a user of its own, at time 0, and the
    rows stand in the order of an MD5 of their content. Rows that are equal are different people, and kept. The test
    file is halved into validation and test, as the MMoE paper does at random: here by a hash of the row. In the scaled
    form ``census_income_val.csv``, where it is there, is the validation split.
    """

    def __init__(self, *, min_count: int = 2) -> None:
        self._min_count = min_count

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the training file, the validation file where there is one, and the test file."""
        return list(_find(data_dir).paths.values())

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; see the class for what its rows, labels and splits are."""
        files = _find(data_dir)
        with workspace(scratch) as con:
            rows = _read(con, files)
            validation = "false" if 1 in files.paths else drawn(0.5, "hash", "copy")
            run(con, _EXAMPLES.format(validation=validation))
            lay_out(con, "examples")
            earns_more, never = (f"'{_INCOME[1]}'", f"'{_MARITAL[0]}'") if files.official else ("1", "1")
            fields = ", ".join(f'"{name}"' for name in CATEGORICAL + NUMERICAL)
            run(con, _DESCRIBED.format(fields=fields, earns_more=earns_more, never=never))
            equal = run(con, "SELECT count(*) FROM numbered WHERE copy > 0")[0][0]
            notes = {
                "source": "Census-Income (KDD), UCI data set 117, CC BY 4.0",
                "form": "official" if files.official else "scaled, as preprocessed by torch-rechub",
                "rows_in_files": {path.name: rows[number] for number, path in files.paths.items()},
                "rows_equal_to_another": equal,
                "sessions": "none: every row is one",
                "validation": files.paths[1].name if 1 in files.paths else "half of the test file, by a hash",
            }
            return assemble(con, scratch, CATEGORICAL, NUMERICAL, _TASKS, self._min_count, notes, relation="described")


def _read(con: duckdb.DuckDBPyConnection, files: _Files) -> Mapping[int, int]:
    """Create ``numbered``: the rows of all files, in an order that does not depend on theirs; count those of each."""
    columns: Sequence[str] = tuple(_OFFICIAL if files.official else _SCALED)
    for number, path in files.paths.items():
        if files.official:
            read_delimited(con, f"file_{number}", path, _OFFICIAL, ",", missing="?")
        else:
            read_csv(con, f"file_{number}", path, _SCALED)
    parts = " UNION ALL ".join(f"SELECT *, {number} AS file FROM file_{number}" for number in files.paths)  # noqa: S608
    run(con, f"CREATE TABLE people AS {parts}")
    number_rows(con, "people", "numbered", ("file",), columns)
    return dict(run(con, "SELECT file, count(*) FROM people GROUP BY ALL"))


def _find(data_dir: Path) -> _Files:
    """Return the official files where they are, the scaled ones otherwise."""
    places = [data_dir / folder for folder in ("census-income", "census-income-kdd")]
    for place in places:
        train, test = find_file(place, "census-income.data"), find_file(place, "census-income.test")
        if train and test:
            return _Files({0: train, 2: test}, official=True)
    for place in places:
        found = [find_file(place, f"census_income_{part}.csv") for part in ("train", "val", "test")]
        if found[0] and found[2]:
            return _Files({number: path for number, path in enumerate(found) if path}, official=False)
    raise missing_files(
        "census-income",
        [
            "census-income.data and census-income.test",
            "or census_income_train.csv and census_income_test.csv",
            "of these also, if there is one, census_income_val.csv",
        ],
        places,
    )
