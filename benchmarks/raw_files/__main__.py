"""``python -m benchmarks.raw_files retailrocket|kuairand-1k FOLDER [--scale SHARE] [--seed SEED]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.raw_files import kuairand, retailrocket

WRITERS = {"retailrocket": retailrocket.write, "kuairand-1k": kuairand.write}


def main() -> None:
    """Write the raw files of one data set below a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.raw_files", description=__doc__)
    parser.add_argument("dataset", choices=sorted(WRITERS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the official number of rows")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for path in WRITERS[given.dataset](given.folder, given.scale, seed=given.seed):
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
