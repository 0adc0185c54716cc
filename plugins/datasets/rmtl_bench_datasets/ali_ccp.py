"""Ali-CCP (Alibaba Click and Conversion Prediction): what Taobao recommended, what was clicked, what was bought.

Ma, Zhao, Huang, Wang, Hu, Zhu and Gai, *Entire Space Multi-Task Model: An Effective Approach for Estimating
Post-Click Conversion Rate*, SIGIR 2018, arXiv 1804.07931; Tianchi data set 408
(https://tianchi.aliyun.com/dataset/408), to be had with an account, under Tianchi's terms: 42.3 million exposures to
train and 43 million to test, 0.4 million users. Read is the form that torch-rechub's preprocess_ali_ccp.py makes of it,
one row an exposure: click, purchase, categorical fields by their official numbers, and D* for their values, scaled to
[0, 1]. In it 0 stands for a categorical value that is missing or in fewer than ten training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.schema import Task
from rmtl_bench_datasets.columns import assemble
from rmtl_bench_datasets.content import drawn, number_rows
from rmtl_bench_datasets.rawfiles import find_file, missing_files
from rmtl_bench_datasets.sessions import lay_out
from rmtl_bench_datasets.workspace import FLAG, NUMBER, Column, read_csv, run, workspace

_USER = ("101", "121", "122", "124", "125", "126", "127", "128", "129")
_ITEM = ("205", "206", "207", "210", "216")
_CROSSED = ("508", "509", "702", "853")
_HISTORY = ("109_14", "110_14", "127_14", "150_14")

CATEGORICAL = (*_USER, *_ITEM, *_CROSSED, "301", *_HISTORY)
"""The 23 categorical fields: of the user, the item, both, the context (301) and the user's history."""

NUMERICAL = tuple(f"D{name}" for name in (*_HISTORY, *_CROSSED))
"""The 8 numerical fields: the values that the official files give beside a categorical one."""

_COLUMNS: Mapping[str, Column] = {
    "click": FLAG,
    "purchase": FLAG,
    **dict.fromkeys(CATEGORICAL, Column("BIGINT")),
    **dict.fromkeys(NUMERICAL, NUMBER),
}

_TASKS = [
    Task("click", None, "the item was clicked"),
    Task("purchase", "click", "the item was clicked and bought"),
]

# Users that the file does not tell apart are no one user: each of their rows has a user of its own.
_EXAMPLES = """
    CREATE VIEW examples AS
    SELECT
        source_row, tie, tie AS bucket, 0::BIGINT AS time_ms,
        CASE WHEN "101" <> 0 THEN 2 * "101" ELSE 2 * tie + 1 END AS user_key,
        CASE WHEN file = 0 AND {validation} THEN 1 ELSE file END AS split
    FROM numbered
"""

_DESCRIBED = """
    CREATE VIEW described AS
    SELECT ordered.*, {fields}, click, click * purchase AS purchase
    FROM ordered JOIN exposures ON ordered.source_row = exposures.rowid
"""

_COUNTS = """
    SELECT
        count(*) FILTER (WHERE file = 0), count(*) FILTER (WHERE file = 1), count(*) FILTER (WHERE file = 2),
        count(*) FILTER (WHERE purchase = 1 AND click = 0), count(*) FILTER (WHERE "101" IS NULL OR "101" = 0)
    FROM exposures
"""


class AliCCP(Dataset):
    """Ali-CCP: every exposure is a row; the tasks are click and its child purchase, the joint event.

    The files have neither time nor sessions: every row is a session of its own, at time 0, and the rows stand in the
    order of an MD5 of their content; equal rows are exposures of their own. The user is field 101; where that is 0,
    unknown, the row has a user of its own. The test file is the test split and ``ali_ccp_val.csv``, which torch-rechub
    takes from the official test file at random, the validation split; without that file it is a share ``valid`` of the
    training rows, by a hash of their content.
    """

    def __init__(self, *, valid: float = 0.2, min_count: int = 2) -> None:
        self._valid, self._min_count = valid, min_count

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the training file, the validation file where there is one, and the test file."""
        return list(self._find(data_dir).values())

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; see the class for what its rows, labels and sessions are."""
        files = self._find(data_dir)
        with workspace(scratch) as con:
            for number, path in files.items():
                read_csv(con, f"file_{number}", path, _COLUMNS)
            parts = " UNION ALL ".join(f"SELECT *, {number} AS file FROM file_{number}" for number in files)  # noqa: S608
            run(con, f"CREATE TABLE exposures AS {parts}")
            number_rows(con, "exposures", "numbered", ("file",), tuple(_COLUMNS), carried=("101",))
            validation = "false" if 1 in files else drawn(self._valid, "hash", "copy")
            run(con, _EXAMPLES.format(validation=validation))
            lay_out(con, "examples")
            run(con, _DESCRIBED.format(fields=", ".join(f'"{name}"' for name in CATEGORICAL + NUMERICAL)))
            *rows, unclicked, unknown = run(con, _COUNTS)[0]
            share = f"a share {self._valid:g} of the training rows, by a hash: no row has a time"
            notes = {
                "source": "Ali-CCP, Ma et al., SIGIR 2018, Tianchi data set 408, as preprocessed by torch-rechub",
                "rows_in_files": {path.name: rows[number] for number, path in files.items()},
                "sessions": "none: every row is one",
                "validation": files[1].name if 1 in files else share,
                "purchases_without_click": unclicked,
                "rows_of_unknown_users": unknown,
            }
            return assemble(con, scratch, CATEGORICAL, NUMERICAL, _TASKS, self._min_count, notes, relation="described")

    def _find(self, data_dir: Path) -> dict[int, Path]:
        """Return the files by the number of their split."""
        places = [data_dir / "ali-ccp", data_dir / "Ali-CCP"]
        for place in places:
            found = [find_file(place, f"ali_ccp_{part}.csv") for part in ("train", "val", "test")]
            if found[0] and found[2]:
                return {number: path for number, path in enumerate(found) if path}
        raise missing_files(
            "ali-ccp",
            ["ali_ccp_train.csv", "ali_ccp_test.csv", "and, if there is one, ali_ccp_val.csv"],
            places,
        )
