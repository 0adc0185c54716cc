"""The command ``python -m benchmarks.faults``: see the package."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.faults.disk_faults import small_disk
from benchmarks.faults.faults import LOCAL, RAY, known_faults, of_a_node
from benchmarks.faults.ray_faults import RayNodes
from benchmarks.faults.rounds import Campaign, Round
from benchmarks.faults.scene import RUNS, environment

RAY_ROUNDS = 0.05
"""The share of the rounds that a fault of a cluster gets: it takes many times as long as another one."""


def shared_out(rounds: int, names: Sequence[str]) -> list[str]:
    """Return the fault of each round: all of them in turn, that of a cluster at the end and seldom."""
    local = [name for name in names if name != RAY]
    on_ray = rounds if not local else max(1, round(rounds * RAY_ROUNDS)) if RAY in names else 0
    return [local[place % len(local)] for place in range(rounds - on_ray)] + [RAY] * on_ray


def can_mount() -> bool:
    """Return whether this user may mount a small disk."""
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def make_rounds(folder: Path, names: Sequence[str], seed: int, keep: bool, at_once: int) -> Iterator[Round]:
    """Make a round for each name, ``at_once`` of them together but those of a cluster, and yield how each went."""
    surroundings = environment(folder)
    campaign = Campaign(folder, surroundings, at_once)
    print(f"undisturbed: {RUNS} runs in {campaign.seconds:.1f} s, {at_once} times at once", file=sys.stderr, flush=True)
    faults = {fault.name: fault for fault in LOCAL}
    numbered = list(enumerate(names, seed))
    with ThreadPoolExecutor(at_once) as pool:
        local = [(number, faults[name]) for number, name in numbered if name != RAY]
        waiting = [pool.submit(campaign.round, number, fault, keep=keep) for number, fault in local]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    on_cluster = [number for number, name in numbered if name == RAY]
    if not on_cluster:
        return
    nodes = RayNodes(surroundings)
    try:
        for number in on_cluster:
            options = ("--executor", "ray", "--address", nodes.address)
            yield campaign.round(number, of_a_node(nodes.kill_node), options, keep=keep)
            nodes.complete()
    finally:
        nodes.close()


def table(rounds: Sequence[Round]) -> str:
    """Return a line a fault, and their sum."""
    widths = (18, 8, 10, 11, 7, 18, 9)
    heads = ("fault", "rounds", "re-run ok", "identical", "well", "runs begun again", "seconds")
    lines = [_line(heads, widths), _line(["-" * (width - 2) for width in widths], widths)]
    by_fault: dict[str, list[Round]] = {}
    for done in rounds:
        by_fault.setdefault(done.fault, []).append(done)
    rows = [*by_fault.items(), ("all", list(rounds))]
    for name, those in rows:
        again = [done.again for done in those]
        lost = f"mean {sum(again) / len(again):.1f}, max {max(again)}"
        seconds = f"{sum(done.seconds for done in those) / len(those):.1f}"
        counts = [sum(getattr(done, what) for done in those) for what in ("reran", "identical", "went_well")]
        lines.append(_line((name, str(len(those)), *map(str, counts), lost, seconds), widths))
    return "\n".join(lines)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{text:<{width}}" for text, width in zip(texts, widths, strict=True)).rstrip()


def main() -> int:
    """Make the rounds that are asked for; print each, the table and the findings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="Faults, one a round.")
    parser.add_argument("--rounds", type=int, default=100, help="rounds (default: 100)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the number of the first round, which decides it (default: 0)"
    )
    parser.add_argument("--only", default="", metavar="FAULT,...", help=f"of {', '.join(known_faults())}; default: all")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="rounds made at the same time (default: 1)")
    parser.add_argument("--keep", type=Path, default=None, help="a new folder, where rounds that went badly are kept")
    asked = parser.parse_args()
    names = [name for name in asked.only.split(",") if name] or known_faults()
    if not can_mount():
        left_out = [fault.name for fault in LOCAL if fault.small_disk and fault.name in names]
        print(f"left out, since this user may mount no disk: {', '.join(left_out)}", file=sys.stderr)
        names = [name for name in names if name not in left_out]
    if unknown := [name for name in names if name not in known_faults()]:
        parser.error(f"unknown fault {unknown[0]!r}; known: {', '.join(known_faults())}")
    if not names:
        parser.error("no fault is left")
    with tempfile.TemporaryDirectory(prefix="rmtl-bench-faults-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        if asked.keep is not None:
            asked.keep.mkdir(parents=True)
            folder = asked.keep.absolute()
        return _campaign(folder, shared_out(asked.rounds, names), asked)


def _campaign(folder: Path, names: Sequence[str], asked: argparse.Namespace) -> int:
    # What a shell starts in the background ignores Ctrl-C, and so would all that this starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done: list[Round] = []
    for one in make_rounds(folder, names, asked.seed, asked.keep is not None, asked.at_once):
        done.append(one)
        said = "" if one.went_well else "  FINDING"
        line = f"{one.number:>4}  {one.fault:<16} {one.struck:<34} {one.again} again, {one.seconds:.1f} s{said}"
        print(line, file=sys.stderr, flush=True)
        for problem in one.problems or ([] if one.went_well else ["the scores differ"]):
            print(f"        {problem}", file=sys.stderr, flush=True)
    print(table(done))
    again = sum(one.again for one in done)
    badly = sum(not one.went_well for one in done)
    print(f"{again} of {len(done) * RUNS} runs were begun again, {badly} rounds went badly")
    return 1 if badly else 0


if __name__ == "__main__":
    sys.exit(main())
