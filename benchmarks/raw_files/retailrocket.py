"""RetailRocket's four files: 2,756,101 events, 20,275,902 item properties in two files, 1,669 categories.

Most visitors come once and some thousands of times; most items are seen a few times. What is put into the cart, and
bought, was viewed by the same visitor minutes before. Properties are noted in weekly snapshots, in random order; the
numbers of rows of the most frequent ones are like those of the real files.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.raw_files import long_tailed, time_in_runs, write_csv

_FIRST_MS, _LAST_MS = 1_430_622_004_384, 1_442_545_187_788
_FIRST_WEEK_MS, _WEEK_MS, _WEEKS = 1_431_226_800_000, 604_800_000, 18
_HOUR_MS = 3_600_000
_CATEGORY_IDS, _CATEGORIES, _ROOTS = 1_699, 1_669, 25
_EVENTS = ("view", "addtocart", "transaction")

_FREQUENT: dict[str, tuple[int, int, float]] = {
    "888": (3_000_398, 400_000, 6.0),
    "790": (1_790_516, 60_000, 0.0),
    "available": (1_503_639, 2, 0.0),
    "categoryid": (788_214, _CATEGORIES, 0.0),
    "6": (631_471, 40_000, 1.5),
    "591": (600_000, 900, 1.0),
    "283": (597_419, 100_000, 20.0),
    "785": (590_000, 3_000, 1.0),
    "814": (580_000, 20_000, 1.0),
    "776": (574_220, 120_000, 1.0),
    "678": (481_966, 30_000, 1.2),
    "364": (476_486, 60_000, 1.0),
    "202": (448_938, 30_000, 1.0),
}
"""Of the frequent properties: rows in all, values, and words in a value on average; 0 stands for no words."""

_RARE = 1_091
"""Further properties, less and less frequent."""

_NUMBERS = 0.3
"""Share of the words that are numbers, as ``n15360.000``."""


@dataclass(frozen=True)
class Sizes:
    """How many rows, visitors and items there are.

    Of the views, ``repeated`` are exact copies of another one; of ``viewed_items``, three in four are drawn at all.
    """

    views: int = 2_664_312
    repeated: int = 460
    carts: int = 69_332
    payments: int = 22_457
    visitors: int = 1_407_580
    items: int = 466_868
    viewed_items: int = 320_000
    described_items: int = 417_053
    properties: int = 20_275_902

    def scaled(self, scale: float) -> Sizes:
        """Return this share of each."""
        return replace(self, **{f.name: max(1, round(getattr(self, f.name) * scale)) for f in fields(self)})


def write(folder: Path, scale: float = 1.0, *, seed: int = 0, sizes: Sizes | None = None) -> list[Path]:
    """Write the files to ``folder/retailrocket``, with ``sizes`` or this share of the official ones; return them."""
    place = folder / "retailrocket"
    place.mkdir(parents=True, exist_ok=True)
    sizes = sizes or Sizes().scaled(scale)
    rng = np.random.default_rng(seed)
    categories = rng.permutation(_CATEGORY_IDS)[:_CATEGORIES]
    # A part of the viewed items has no properties, and most described items are never viewed.
    described = rng.permutation(sizes.items)[: sizes.described_items]
    viewed = rng.permutation(sizes.items)[: sizes.viewed_items]
    return [
        _write_events(place / "events.csv", _events(rng, sizes, viewed)),
        *_write_properties(place, rng, sizes, described, categories),
        _write_tree(place / "category_tree.csv", rng, categories),
    ]


def _events(rng: np.random.Generator, sizes: Sizes, items: NDArray[np.int64]) -> pd.DataFrame:
    """Return the events: views, carts after some of them, payments after some of the carts."""
    rows = sizes.views - sizes.repeated
    number = np.sort(long_tailed(rng, sizes.visitors, rows, spread=1.7, least=1))
    starts = rng.random(rows) < 0.3
    starts[np.flatnonzero(np.diff(number, prepend=-1))] = True
    begin = rng.integers(_FIRST_MS, _LAST_MS - 6 * _HOUR_MS, starts.sum())
    pause = rng.exponential(120_000.0, rows).astype(np.int64)
    time_ms = time_in_runs(starts, begin, pause)
    again = ~starts & (rng.random(rows) < 0.25)
    seen = long_tailed(rng, len(items), rows, spread=1.6, least=0)
    itemid = items[seen[np.maximum.accumulate(np.where(again, 0, np.arange(rows)))]]
    visitorid = rng.permutation(sizes.visitors)[number]

    views = np.append(np.arange(rows), rng.choice(rows, sizes.repeated, replace=False))
    carts = rng.choice(rows, sizes.carts, replace=False)
    carted = time_ms[carts] + rng.integers(5_000, 300_000, sizes.carts)
    paying = rng.choice(sizes.carts, sizes.payments, replace=False)
    payments, paid = carts[paying], carted[paying] + rng.integers(20_000, 900_000, sizes.payments)

    source = np.concatenate([views, carts, payments])
    kind = np.repeat(np.arange(3, dtype=np.int8), [sizes.views, sizes.carts, sizes.payments])
    transactionid = np.full(len(source), -1)
    transactionid[-sizes.payments :] = _transactions(rng, visitorid[payments], paid)
    frame = pd.DataFrame(
        {
            "timestamp": np.concatenate([time_ms[views], carted, paid]),
            "visitorid": visitorid[source],
            "event": pd.Categorical.from_codes(kind, _EVENTS),
            "itemid": itemid[source],
            "transactionid": transactionid,
        }
    )
    # The real file is in order of time within blocks, which follow each other in none.
    block = rng.permutation(64)[(frame["timestamp"] - _FIRST_MS).to_numpy() * 64 // (_LAST_MS - _FIRST_MS + 1)]
    return frame.iloc[np.lexsort((frame["timestamp"], block))]


def _transactions(
    rng: np.random.Generator, visitorid: NDArray[np.int64], time_ms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return a number for each payment; a visitor's payments within an hour of the one before share it."""
    order = np.lexsort((time_ms, visitorid))
    other = np.diff(visitorid[order], prepend=-1) != 0
    later = np.diff(time_ms[order], prepend=0) > _HOUR_MS
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(other | later) - 1
    return rng.permutation(numbers.max() + 1)[numbers]


def _write_events(path: Path, frame: pd.DataFrame) -> Path:
    query = "SELECT * REPLACE (CASE WHEN transactionid >= 0 THEN transactionid END AS transactionid) FROM frame"
    return write_csv(path, query, frame)


def _write_tree(path: Path, rng: np.random.Generator, categories: NDArray[np.int64]) -> Path:
    """Write each category with its parent, which stands before it among ``categories``: there are no circles."""
    parent = (np.arange(len(categories)) * rng.random(len(categories)) ** 1.5).astype(np.int64)
    frame = pd.DataFrame({"categoryid": categories, "parentid": categories[parent]})
    frame.loc[: _ROOTS - 1, "parentid"] = -1
    query = "SELECT categoryid, CASE WHEN parentid >= 0 THEN parentid END AS parentid FROM frame"
    return write_csv(path, query, frame.iloc[rng.permutation(len(frame))])


def _write_properties(
    place: Path, rng: np.random.Generator, sizes: Sizes, items: NDArray[np.int64], categories: NDArray[np.int64]
) -> list[Path]:
    names, rows, values, words = _property_sizes(sizes.properties)
    texts = _texts(rng, names, values, words, categories)
    place_of, kinds = pd.factorize(texts)
    first = np.cumsum(values) - values
    item, week, value = (np.empty(rows.sum(), dtype) for dtype in (np.int32, np.int8, np.int32))
    stop = np.cumsum(rows)
    for number in range(len(names)):
        part = slice(stop[number] - rows[number], stop[number])
        # An item has at most one value of a property in a week.
        chosen = rng.choice(len(items) * _WEEKS, rows[number], replace=False, shuffle=False)
        item[part], week[part] = chosen // _WEEKS, chosen % _WEEKS
        value[part] = place_of[first[number] + _values(rng, values[number], item[part], len(items))]
    order = rng.permutation(len(item))
    frame = pd.DataFrame(
        {
            "week": week[order],
            "itemid": items[item[order]],
            "property": pd.Categorical.from_codes(np.repeat(np.arange(len(names)), rows)[order], names),
            "value": pd.Categorical.from_codes(value[order], kinds),
        },
        copy=False,
    )
    query = f"SELECT {_FIRST_WEEK_MS} + {_WEEK_MS} * week::BIGINT AS timestamp, * EXCLUDE (week) FROM frame"  # noqa: S608
    half = round(len(frame) * 10_999_999 / 20_275_902)
    parts = {"item_properties_part1.csv": frame.iloc[:half], "item_properties_part2.csv": frame.iloc[half:]}
    return [write_csv(place / name, query, part) for name, part in parts.items()]


def _property_sizes(total: int) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return names, numbers of rows, numbers of values and words per value of all properties."""
    frequent = np.array(list(_FREQUENT.values()))
    used = set(_FREQUENT)
    rare = [name for name in map(str, range(_RARE + len(used))) if name not in used][:_RARE]
    weights = 1.0 / np.arange(4, _RARE + 4)
    share = np.append(frequent[:, 0], (Sizes.properties - frequent[:, 0].sum()) * weights / weights.sum())
    below = np.round(np.cumsum(share) / share.sum() * total).astype(np.int64)
    rows = np.diff(below, prepend=0)
    values = np.append(frequent[:, 1].astype(np.int64), np.maximum(5, rows[len(used) :] // 20))
    # With few rows there need not be more values than rows, except where all values are given.
    given = np.isin([*_FREQUENT, *rare], ("available", "categoryid"))
    values = np.where(given, values, np.minimum(values, np.maximum(5, rows)))
    return [*_FREQUENT, *rare], rows, values, np.append(frequent[:, 2], np.ones(_RARE))


def _texts(
    rng: np.random.Generator,
    names: list[str],
    values: NDArray[np.int64],
    words: NDArray[np.float64],
    categories: NDArray[np.int64],
) -> NDArray[np.object_]:
    """Return the values of all properties, one property after the other."""
    lengths = 1 + rng.poisson(np.repeat(np.maximum(words - 1, 0), values))
    numbers = rng.random(lengths.sum()) < _NUMBERS
    word = np.where(numbers, 12 * rng.integers(1, 10_000, len(numbers)), rng.integers(0, 1_400_000, len(numbers)))
    tokens = pd.DataFrame(
        {
            "text": np.repeat(np.arange(len(lengths)), lengths),
            "place": np.arange(lengths.sum()),
            "is_number": numbers,
            "word": word,
        }
    )
    query = """
        SELECT string_agg(CASE WHEN is_number THEN 'n' || word || '.000' ELSE word::VARCHAR END, ' ' ORDER BY place)
        FROM tokens GROUP BY text ORDER BY text
    """
    with duckdb.connect() as con:
        con.register("tokens", tokens)
        texts = np.array([text for (text,) in con.execute(query).fetchall()], object)
    stop = np.cumsum(values)
    price = 120 * np.round(rng.lognormal(9.0, 1.2, values[names.index("790")])).astype(np.int64)
    known = {
        "790": [f"n{number}.000" for number in price],
        "available": ["0", "1"],
        "categoryid": categories.astype(str),
    }
    for name, column in known.items():
        number = names.index(name)
        texts[stop[number] - values[number] : stop[number]] = column
    return texts


def _values(rng: np.random.Generator, values: int, item: NDArray[np.int32], items: int) -> NDArray[np.int64]:
    """Return a value for each row: for most rows the one that its item has always had, some values more than others."""
    if len(item) < items // 4:
        return (values * rng.random(len(item)) ** 2).astype(np.int64)
    usual = (values * rng.random(items) ** 2).astype(np.int64)
    changed = rng.random(len(item)) < 0.1
    return np.where(changed, rng.integers(0, values, len(item)), usual[item])
