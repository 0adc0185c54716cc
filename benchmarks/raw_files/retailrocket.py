"""RetailRocket at its official size: 2,756,101 events, 20,275,902 item properties, 1,669 categories.

The rows are made by DuckDB from hashes of their numbers, so that the same scale gives the same files. Visitors, items
and times are drawn as the real ones are spread, roughly: most visitors come once, some items are looked at often.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

VIEWS, CARTS, PAYMENTS, PROPERTIES = 2_664_312, 69_332, 22_457, 20_275_902
VISITORS, ITEMS, CATEGORIES = 1_407_580, 417_053, 1_669

_START_MS, _DAYS = 1_430_611_200_000, 138

# A visit has a visitor, a first item and a time; its views follow within minutes. Carts follow views, payments carts.
_EVENTS = """
    CREATE TABLE views AS
    SELECT
        number, visit,
        (hash(visit) % $visitors)::BIGINT AS visitorid,
        ($items * pow((hash(number, 'item') % 1000000) / 1e6, 3))::BIGINT AS itemid,
        {start} + (hash(visit, 'time') % {span})::BIGINT + (number - visit) * 40000
            + (hash(number, 'pause') % 30000)::BIGINT AS timestamp
    FROM (
        SELECT range AS number,
            max(range) FILTER (WHERE hash(range, 'first') % 10 < 6 OR range = 0) OVER (ORDER BY range) AS visit
        FROM range($views)
    );
    CREATE TABLE carts AS
    SELECT *, timestamp + 5000 + (hash(number, 'cart') % 60000)::BIGINT AS carted
    FROM views ORDER BY hash(number, 'chosen') LIMIT $carts;
    CREATE TABLE payments AS
    SELECT *, carted + 20000 + (hash(number, 'pay') % 300000)::BIGINT AS paid
    FROM carts ORDER BY hash(number, 'paying') LIMIT $payments;
    COPY (
        SELECT * FROM (
            SELECT timestamp, visitorid, 'view' AS event, itemid, NULL::BIGINT AS transactionid FROM views
            UNION ALL SELECT carted, visitorid, 'addtocart', itemid, NULL FROM carts
            UNION ALL SELECT paid, visitorid, 'transaction', itemid, row_number() OVER (ORDER BY number) FROM payments
        ) ORDER BY hash(timestamp, visitorid, event)
    ) TO '{events}' (HEADER);
"""

# Weekly snapshots, as in the real files: most properties never change, and stand there again and again.
_PROPERTIES = """
    COPY (
        SELECT
            {start} + 604800000 * (hash(range, 'week') % 18)::BIGINT AS timestamp,
            (hash(range, 'item') % $items)::BIGINT AS itemid,
            CASE
                WHEN kind < 8 THEN 'categoryid' WHEN kind < 15 THEN 'available' WHEN kind < 19 THEN '790'
                WHEN kind < 40 THEN ['785', '591', '814', '364', '776', '888', '283'][1 + kind % 7]
                ELSE (hash(range, 'name') % 1100)::VARCHAR
            END AS property,
            CASE
                WHEN kind < 8 THEN (hash(range, 'value') % {categories})::VARCHAR
                WHEN kind < 15 THEN (hash(range, 'value') % 2)::VARCHAR
                WHEN kind < 19 THEN 'n' || (hash(range, 'value') % 100000) || '.000'
                WHEN kind % 3 = 0 THEN (hash(range, 'value') % 1300000)::VARCHAR
                ELSE (hash(range, 'a') % 1300000) || ' ' || (hash(range, 'b') % 1300000)
                    || ' n' || (hash(range, 'c') % 1000) || '.000 ' || (hash(range, 'd') % 1300000)
            END AS value
        FROM (SELECT range, (hash(range, 'kind') % 100)::INTEGER AS kind FROM range({first}, {last}))
    ) TO '{path}' (HEADER);
"""

_TREE = """
    COPY (
        SELECT range AS categoryid, CASE WHEN range >= 25 THEN (hash(range) % (range // 3 + 1))::BIGINT END AS parentid
        FROM range({categories}) ORDER BY hash(range)
    ) TO '{path}' (HEADER);
"""


def write(folder: Path, scale: float = 1.0) -> list[Path]:
    """Write the four files to ``folder/retailrocket`` with this share of the official rows, and return them."""
    place = folder / "retailrocket"
    place.mkdir(parents=True, exist_ok=True)
    names = ("events.csv", "item_properties_part1.csv", "item_properties_part2.csv", "category_tree.csv")
    events, first, second, tree = (place / name for name in names)
    sizes = {"views": VIEWS, "carts": CARTS, "payments": PAYMENTS, "visitors": VISITORS, "items": ITEMS}
    counts = {name: max(1, round(size * scale)) for name, size in sizes.items()}
    rows = round(PROPERTIES * scale)
    with duckdb.connect() as con:
        filled = _EVENTS.format(start=_START_MS, span=_DAYS * 86_400_000, events=events)
        for statement in filled.split(";\n"):
            if statement.strip():
                used = {name: count for name, count in counts.items() if f"${name}" in statement}
                con.execute(statement, used or None)
        for path, begin, end in ((first, 0, rows * 27 // 50), (second, rows * 27 // 50, rows)):
            query = _PROPERTIES.format(start=_START_MS, categories=CATEGORIES, first=begin, last=end, path=path)
            con.execute(query, {"items": counts["items"]})
        con.execute(_TREE.format(categories=CATEGORIES, path=tree))
    return [events, first, second, tree]
