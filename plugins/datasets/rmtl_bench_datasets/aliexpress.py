"""AliExpress: what four countries clicked and bought on the pages of a shop's search.

Li, Li, Da, Zeng and Zhang, *Improving Multi-Scenario Learning to Rank in E-commerce by Exploiting Task Relationships
in the Label Space*, CIKM 2020; Tianchi data set 74690 (https://tianchi.aliyun.com/dataset/74690), to be had with an
account, under Tianchi's terms. Read is the form that MTReclib makes of it: train.csv and test.csv with search_id, 16
categorical and 63 numerical columns, click and conversion. Exposures in millions, as the field reports them, train and
test: NL 12.2 and 5.6, ES 22.3 and 9.3, FR 18.2 and 8.8, US 19.9 and 7.5.

The owner parted train and test along time, but no row has a time, a user or a place on its page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.schema import Task
from rmtl_bench_datasets.columns import assemble
from rmtl_bench_datasets.content import drawn, number_rows
from rmtl_bench_datasets.rawfiles import find_file, missing_files
from rmtl_bench_datasets.sessions import lay_out
from rmtl_bench_datasets.workspace import FLAG, KEY, NUMBER, Column, read_csv, run, workspace

COUNTRIES = ("NL", "ES", "FR", "US")

CATEGORICAL = tuple(f"categorical_{number}" for number in range(1, 17))
"""The 16 categorical fields; the owner does not say what they mean."""

NUMERICAL = tuple(f"numerical_{number}" for number in range(1, 64))
"""The 63 numerical fields, of the user, the query and the item."""

_COLUMNS: Mapping[str, Column] = {
    "search_id": KEY,
    **dict.fromkeys(CATEGORICAL, Column("BIGINT")),
    **dict.fromkeys(NUMERICAL, NUMBER),
    "click": FLAG,
    "conversion": FLAG,
}

_TASKS = [
    Task("click", None, "the item was clicked"),
    Task("conversion", "click", "the item was clicked and bought"),
]

_EXPOSURES = """
    CREATE TABLE exposures AS
    SELECT *, 0 AS file FROM train
    UNION ALL
    SELECT *, 1 AS file FROM test
"""

# A search_id that stands in both files is two pages. The page is its own user, for the file names none.
_EXAMPLES = """
    CREATE VIEW examples AS
    SELECT
        source_row, tie, 2 * search_id + file AS user_key, 0 AS bucket, 0::BIGINT AS time_ms,
        CASE WHEN file = 1 THEN 2 WHEN {validation} THEN 1 ELSE 0 END AS split
    FROM numbered
"""

_DESCRIBED = """
    CREATE VIEW described AS
    SELECT ordered.*, {fields}, click, click * conversion AS conversion
    FROM ordered JOIN exposures ON ordered.source_row = exposures.rowid
"""

_COUNTS = """
    SELECT
        count(*) FILTER (WHERE file = 0), count(*) FILTER (WHERE file = 1),
        count(*) FILTER (WHERE conversion = 1 AND click = 0)
    FROM exposures
"""

_IN_BOTH_FILES = """
    SELECT count(*)
    FROM (SELECT search_id FROM exposures GROUP BY ALL HAVING min(file) <> max(file))
"""


class AliExpress(Dataset):
    """AliExpress, one country: every exposure is a row; the tasks are click and its child conversion, the joint event.

    A session is a search page. Rows of a page have no recorded order and stand in that of an MD5 of their content,
    which favours no label; equal rows are exposures of their own. The user is the page, and the time 0, since there
    is neither. The test file is the test split; as the files have no time, the validation split is a share ``valid``
    of the training file's pages, by a hash of their ``search_id``.
    """

    def __init__(self, *, country: str = "NL", valid: float = 0.2, min_count: int = 2) -> None:
        if country not in COUNTRIES:
            raise UsageError(f"parameter 'country' is {country!r}; it takes one of {', '.join(COUNTRIES)}")
        self._country, self._valid, self._min_count = country, valid, min_count

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the training file and the test file."""
        name = f"AliExpress_{self._country}"
        places = [data_dir / "aliexpress" / self._country, data_dir / "aliexpress" / name, data_dir / name]
        for place in places:
            train, test = find_file(place, "train.csv"), find_file(place, "test.csv")
            if train and test:
                return [train, test]
        raise missing_files("aliexpress", ["train.csv", "test.csv"], places)

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; see the class for what its rows, labels and sessions are."""
        train, test = self.raw_files(data_dir)
        with workspace(scratch) as con:
            read_csv(con, "train", train, _COLUMNS)
            read_csv(con, "test", test, _COLUMNS)
            run(con, _EXPOSURES)
            number_rows(con, "exposures", "numbered", ("file", "search_id"), tuple(_COLUMNS))
            run(con, _EXAMPLES.format(validation=drawn(self._valid, "search_id")))
            lay_out(con, "examples")
            run(con, _DESCRIBED.format(fields=", ".join(CATEGORICAL + NUMERICAL)))
            (in_train, in_test, unclicked), ((in_both,),) = run(con, _COUNTS)[0], run(con, _IN_BOTH_FILES)
            notes = {
                "source": "AliExpress search logs, Li et al., CIKM 2020, Tianchi data set 74690",
                "country": self._country,
                "rows_in_files": {train.name: in_train, test.name: in_test},
                "sessions": "search pages; the order of a page's rows is not recorded, theirs is that of an MD5",
                "validation": f"a share {self._valid:g} of the training pages, by a hash: no row has a time",
                "conversions_without_click": unclicked,
                "search_ids_in_both_files": in_both,
            }
            return assemble(con, scratch, CATEGORICAL, NUMERICAL, _TASKS, self._min_count, notes, relation="described")
