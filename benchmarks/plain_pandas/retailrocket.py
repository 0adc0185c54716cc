"""RetailRocket with plain pandas: as ``RetailRocket().build`` of the data sets' plugin makes it by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.plain_pandas import arrays, cut_times, in_order

PROPERTIES = {"category": "categoryid", "available": "available"} | {
    f"property_{number}": str(number) for number in (785, 591, 814, 364, 776)
}
_GAP_MS = 30 * 60_000
_CHUNK = 2_000_000


def prepare(data_dir: Path) -> dict[str, Any]:
    """Return the arrays of the session table, by name, and ``split_sizes``."""
    folder = data_dir / "retailrocket"
    views = in_order(_views(_events(folder / "events.csv")))
    views = _with_properties(views, _properties(folder, views["itemid"].unique()))
    views["root_category"] = views["category"].map(_roots(folder / "category_tree.csv"))
    categorical = ["itemid", "hour", "weekday", *PROPERTIES, "root_category"]
    return arrays(views, categorical, ["position", "pause"], ["click", "pay"])


def _events(path: Path) -> pd.DataFrame:
    """Return the distinct events in order, with split and session, of sessions that have a view."""
    events = pd.read_csv(path, dtype={"event": "category", "transactionid": str}).drop_duplicates()
    # A view comes before a payment and a payment before what is put into the cart.
    events["kind"] = events["event"].map({"view": 0, "transaction": 1, "addtocart": 2}).astype(np.int8)
    events = events.sort_values(["timestamp", "visitorid", "itemid", "kind", "transactionid"], ignore_index=True)
    events = events.rename(columns={"timestamp": "time_ms", "visitorid": "user_key"})
    events["pause_ms"] = events.groupby("user_key")["time_ms"].diff()
    begins = events["pause_ms"] > _GAP_MS
    events["bucket"] = begins.groupby(events["user_key"]).cumsum()
    events["is_view"] = events["kind"] == 0
    session = events.groupby(["user_key", "bucket"], sort=False).ngroup()
    events = events[events["is_view"].groupby(session).transform("any")]
    first, second = cut_times(events.loc[events["is_view"], "time_ms"])
    return events.assign(split=(events["time_ms"] >= first).astype(np.int8) + (events["time_ms"] >= second))


def _views(events: pd.DataFrame) -> pd.DataFrame:
    """Return the views with their labels and what depends on the events before."""
    session = ["user_key", "bucket"]
    events = events.assign(
        position=np.log(events.groupby(session)["is_view"].cumsum().clip(lower=1)),
        pause=np.log(1 + events["pause_ms"] / 1000).where(events.duplicated(session)),
    )
    views = events[events["is_view"]].drop(columns=["event", "kind", "transactionid", "pause_ms", "is_view"])
    same_item = ["split", *session, "itemid"]
    for name, kind in (("last_payment", 1), ("last_cart", 2)):
        last = events[events["kind"] == kind].groupby(same_item)["time_ms"].max().rename(name)
        views = views.merge(last, how="left", left_on=same_item, right_index=True)
    views["click"] = views["last_cart"] >= views["time_ms"]
    views["pay"] = views["click"] & (views["last_payment"] >= views["time_ms"])
    views["hour"] = views["time_ms"] // 3_600_000 % 24
    views["weekday"] = (views["time_ms"] // 86_400_000 + 3) % 7
    return views.drop(columns=["last_payment", "last_cart"])


def _properties(folder: Path, items: Any) -> pd.DataFrame:
    """Return the rows of the wanted properties of the items; in parts, for most rows are not wanted."""
    types = {"timestamp": np.int64, "itemid": np.int64, "property": str, "value": str}
    parts = []
    for name in ("item_properties_part1.csv", "item_properties_part2.csv"):
        with pd.read_csv(folder / name, dtype=types, keep_default_na=False, na_values=[""], chunksize=_CHUNK) as reader:
            for chunk in reader:
                chunk = chunk[chunk["property"].isin(PROPERTIES.values())]
                parts.append(chunk[chunk["itemid"].isin(items)])
    return pd.concat(parts, ignore_index=True)


def _with_properties(views: pd.DataFrame, properties: pd.DataFrame) -> pd.DataFrame:
    """Return the views with a column for each property: the value that holds at the time of the view."""
    properties = properties.rename(columns={"timestamp": "time_ms"})
    place = np.arange(len(views))
    views = views.assign(place=place).sort_values("time_ms")
    for field, name in PROPERTIES.items():
        values = properties.loc[properties["property"] == name, ["time_ms", "itemid", "value"]]
        # Of two values for one time the greater one holds.
        values = values.sort_values(["time_ms", "value"], na_position="first")
        values = values.drop_duplicates(["time_ms", "itemid"], keep="last").rename(columns={"value": field})
        views = pd.merge_asof(views, values, on="time_ms", by="itemid")
    return views.sort_values("place", ignore_index=True).drop(columns="place")


def _roots(path: Path) -> pd.Series:
    """Return the root of each category; a category that ends in a circle has none."""
    parent = pd.read_csv(path).set_index("categoryid")["parentid"]
    root = parent.index.to_series()
    for _ in range(64):
        above = root.map(parent)
        if above.isna().all():
            break
        root = above.fillna(root)
    root = root.where(root.map(parent).isna()).astype("Int64")
    return root.set_axis(root.index.astype(str))
