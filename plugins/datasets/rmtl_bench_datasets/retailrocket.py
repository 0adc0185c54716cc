"""RetailRocket: what visitors of a web shop viewed, put into the cart and bought.

The Retailrocket recommender system dataset, as published on Kaggle, CC BY-NC-SA 4.0: 2,756,101 events (2,664,312 view,
69,332 addtocart, 22,457 transaction) of 1,407,580 visitors in 2015, 20,275,902 item properties that change over time.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.schema import Task
from rmtl_bench_datasets.columns import assemble
from rmtl_bench_datasets.rawfiles import find_file, missing_files
from rmtl_bench_datasets.sessions import add_sessions, add_splits, check_shares, cut_times, lay_out
from rmtl_bench_datasets.workspace import KEY, TEXT, Column, check_unique, read_csv, run, workspace

PROPERTIES: Mapping[str, str] = {
    "category": "categoryid",
    "available": "available",
    **{f"property_{number}": str(number) for number in (785, 591, 814, 364, 776)},
}
"""The categorical field made of each item property; all but two properties' names are hashed in the data."""

_FOLDERS = ("retailrocket", "retailrocket-recommender-system-dataset", "RetailRocket")
_PROPERTY_FILES = ("item_properties_part1.csv", "item_properties_part2.csv")
_EVENT_COLUMNS: Mapping[str, Column] = {
    "timestamp": KEY,
    "visitorid": KEY,
    "event": Column(required=True, values=("view", "addtocart", "transaction")),
    "itemid": KEY,
    "transactionid": TEXT,
}
_PROPERTY_COLUMNS = {"timestamp": KEY, "itemid": KEY, "property": Column(required=True), "value": TEXT}

_TASKS = [
    Task("click", None, "added to the cart at or after the view, within the session"),
    Task("pay", "click", "added to the cart and bought at or after the view, within the session"),
]

_EVENTS = """
    CREATE TABLE events AS
    SELECT
        visitorid AS user_key, timestamp AS time_ms, event, itemid,
        row_number() OVER (ORDER BY timestamp, visitorid, itemid, event DESC, transactionid) AS tie
    FROM (SELECT DISTINCT * FROM raw_events)
"""

# Sessions are chosen by their number of views before a boundary cuts them.
_KEPT = """
    CREATE TABLE kept AS
    SELECT *
    FROM sessioned
    QUALIFY count(*) FILTER (WHERE event = 'view') OVER (PARTITION BY user_key, bucket) BETWEEN $least AND $most
"""

# A label looks no further than the part of the session on this side of a split boundary: what happens in the
# validation period is unknown when a model is trained.
_VIEWS = """
    CREATE TABLE views AS
    WITH outcomes AS (
        SELECT *,
            max(time_ms) FILTER (WHERE event = 'addtocart') OVER same_item AS last_cart,
            max(time_ms) FILTER (WHERE event = 'transaction') OVER same_item AS last_payment,
            count(*) FILTER (WHERE event = 'view') OVER (PARTITION BY user_key, bucket ORDER BY tie) AS views_so_far,
            lag(bucket) OVER (PARTITION BY user_key ORDER BY tie) = bucket AS within_session
        FROM split_events
        WINDOW same_item AS (PARTITION BY split, user_key, bucket, itemid)
    )
    SELECT
        user_key, bucket, time_ms, tie, split, itemid, itemid AS item,
        (time_ms // 3600000) % 24 AS hour,
        (time_ms // 86400000 + 3) % 7 AS weekday,
        ln(views_so_far) AS position,
        CASE WHEN within_session THEN ln(1 + pause_ms / 1000.0) END AS pause,
        coalesce(last_cart >= time_ms, false)::INTEGER AS click,
        coalesce(last_cart >= time_ms AND last_payment >= time_ms, false)::INTEGER AS pay
    FROM outcomes
    WHERE event = 'view'
"""

# A property holds from its time stamp on, until the next value of it: at every change of an item stands all that holds
# from then on. An empty value ends the one before.
_STATES = """
    CREATE TABLE states AS
    WITH RECURSIVE changes AS (
        SELECT itemid, timestamp, {changed}
        FROM properties SEMI JOIN ordered USING (itemid)
        GROUP BY ALL
    ), held AS (
        SELECT itemid, timestamp, {held}
        FROM changes
        WINDOW so_far AS (PARTITION BY itemid ORDER BY timestamp)
    ), ancestors AS (
        SELECT categoryid, categoryid AS ancestor, 0 AS depth FROM tree
        UNION ALL
        SELECT a.categoryid, t.parentid, depth + 1
        FROM ancestors AS a JOIN tree AS t ON t.categoryid = a.ancestor
        WHERE t.parentid IS NOT NULL AND depth < 64
    ), roots AS (
        SELECT categoryid::VARCHAR AS category, arg_max(ancestor, depth) AS root_category
        FROM ancestors GROUP BY ALL HAVING max(depth) < 64
    )
    SELECT held.*, root_category FROM held LEFT JOIN roots USING (category)
"""

_DESCRIBED = """
    CREATE TABLE described AS
    SELECT ordered.*, states.* EXCLUDE (itemid, timestamp)
    FROM ordered ASOF LEFT JOIN states ON ordered.itemid = states.itemid AND ordered.time_ms >= states.timestamp
"""


class RetailRocket(Dataset):
    """RetailRocket: every view is a row; the tasks are click (put into the cart) and its child pay (bought).

    A view has click = 1 if its visitor puts its item into the cart at or after it within the session, and pay = 1,
    the joint event, if the visitor also buys it at or after the view within the session; what happens beyond a split
    boundary does not count. Every view of an item counts. A session ends where the visitor pauses for more than
    ``gap_minutes``. Exact duplicates of an event are dropped. Hours and weekdays are of UTC. Fields: item, hour,
    weekday; with the property files also the item's category, root category and five hashed properties, as of the view.
    Numerical: logarithms of the view's position in its session and of the seconds since the event before.
    """

    def __init__(
        self,
        *,
        sessions: str = "gap",
        gap_minutes: float = 30.0,
        split: Sequence[float] = (0.6, 0.2, 0.2),
        min_session_rows: int = 1,
        min_count: int = 2,
        at_boundary: str = "cut",
        max_session_rows: int = 0,
    ) -> None:
        self._sessions = "user" if sessions == "visitor" else sessions
        self._at_boundary, self._max_session_rows = at_boundary, max_session_rows
        self._gap_minutes, self._shares = gap_minutes, check_shares(split)
        self._min_session_rows, self._min_count = min_session_rows, min_count

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the events, and the category tree and the item properties where there are properties."""
        events, tree, properties = self._find(data_dir)
        return [events, *([tree] if tree else []), *properties]

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; see the class for what its rows, labels and sessions are."""
        events, tree, properties = self._find(data_dir)
        with workspace(scratch) as con:
            read_csv(con, "raw_events", events, _EVENT_COLUMNS)
            run(con, _EVENTS)
            add_sessions(con, "events", "sessioned", self._sessions, self._gap_minutes)
            run(con, _KEPT, {"least": self._min_session_rows, "most": self._max_session_rows or sys.maxsize})
            cuts = cut_times(con, "kept", self._shares, "WHERE event = 'view'")
            add_splits(con, "kept", "split_events", cuts)
            run(con, _VIEWS)
            dropped = lay_out(con, "views", self._at_boundary)
            fields, relation = ["item", "hour", "weekday"], "ordered"
            if tree:
                _describe(con, tree, properties)
                fields, relation = [*fields, *PROPERTIES, "root_category"], "described"
            counts = [run(con, f"SELECT count(*) FROM {table}")[0][0] for table in ("raw_events", "events", "kept")]  # noqa: S608
            notes = {
                "source": "Retailrocket recommender system dataset, Kaggle, CC BY-NC-SA 4.0",
                "events_logged": counts[0],
                "events_distinct": counts[1],
                "events_kept": counts[2],
                "item_properties": [path.name for path in properties]
                or "no property file was there: no category fields",
                **dropped,
            }
            return assemble(con, scratch, fields, ("position", "pause"), _TASKS, self._min_count, notes, relation)

    def _find(self, data_dir: Path) -> tuple[Path, Path | None, list[Path]]:
        """Return events, category tree and properties; the tree is of use, and needed, only beside properties."""
        places = [data_dir / folder for folder in _FOLDERS]
        for place in places:
            events, tree, *found = (find_file(place, n) for n in ("events.csv", "category_tree.csv", *_PROPERTY_FILES))
            properties = [path for path in found if path]
            if events and (tree or not properties):
                return events, tree if properties else None, properties
        names = ["events.csv", "and for categories category_tree.csv", *_PROPERTY_FILES]
        raise missing_files("retailrocket", names, places)


def _describe(con: duckdb.DuckDBPyConnection, tree: Path, files: Sequence[Path]) -> None:
    """Create ``described``: ``ordered`` with a field for each property, as of the view, and with the root category."""
    read_csv(con, "tree", tree, {"categoryid": KEY, "parentid": Column("BIGINT")})
    check_unique(con, "tree", "categoryid", tree)
    wanted = ", ".join(f"'{name}'" for name in PROPERTIES.values())
    for number, path in enumerate(files):
        read_csv(con, f"properties_{number}", path, _PROPERTY_COLUMNS, f"WHERE property IN ({wanted})")
    parts = " UNION ALL ".join(f"SELECT * FROM properties_{number}" for number in range(len(files)))  # noqa: S608
    run(con, f"CREATE VIEW properties AS {parts}")
    changed = (
        f"max(coalesce(value, '')) FILTER (WHERE property = '{name}') AS {field}" for field, name in PROPERTIES.items()
    )
    held = (f"nullif(last_value({field} IGNORE NULLS) OVER so_far, '') AS {field}" for field in PROPERTIES)
    run(con, _STATES.format(changed=", ".join(changed), held=", ".join(held)))
    run(con, _DESCRIBED)
