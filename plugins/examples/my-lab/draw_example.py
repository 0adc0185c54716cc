"""Draws the invented visits that come with the package: ``python draw_example.py my_lab/example/visits.csv``.

120 users and 60 items, each with a taste of its own; whoever likes an item clicks it more often, and a clicked item is
bought the less often the dearer it is. One purchase in ten is not known yet.
"""

from __future__ import annotations

import csv
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

ROWS = 1800
START_MS = 1_767_225_600_000
CATEGORIES = ("books", "garden", "music", "tools", "toys")


def visits() -> Iterator[tuple[object, ...]]:
    """Yield the rows, in order of time."""
    # Python's own generator: its random() gives the same numbers in every version.
    draw = random.Random(7)  # noqa: S311 -- invented visits are no secret
    likes = [draw.random() for _ in range(120)]
    items = [(draw.random(), round(2 + 48 * draw.random(), 2), CATEGORIES[n % 5]) for n in range(60)]
    time_ms = START_MS
    while True:
        user = int(120 * draw.random())
        for _ in range(1 + int(6 * draw.random())):
            time_ms += int(60_000 * draw.random())
            item = int(60 * draw.random())
            appeal, price, category = items[item]
            click = draw.random() < 1 / (1 + math.exp(2.5 - 2.5 * likes[user] - 2.5 * appeal))
            bought = click and draw.random() < 1 / (1 + math.exp(price / 12 - 2))
            purchase = "" if draw.random() < 0.1 else int(bought)
            yield f"u{user}", f"i{item}", category, price, time_ms, int(click), purchase
        time_ms += int(2_000_000 * draw.random())


def main(target: Path) -> None:
    """Write the file."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("user_id", "item_id", "category", "price", "time_ms", "click", "purchase"))
        for _, row in zip(range(ROWS), visits(), strict=False):
            writer.writerow(row)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
