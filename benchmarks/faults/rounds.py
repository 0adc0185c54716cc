"""One round: a fault, a plain re-run, and what must hold afterwards."""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.faults.disk_faults import small_disk
from benchmarks.faults.faults import Fault
from benchmarks.faults.ledger_plugin import LEDGER
from benchmarks.faults.scene import RUNS, Scene
from rmtl_bench.store import Index, Store
from rmtl_bench.store.check import check_store
from rmtl_bench.store.prune import Asked, prune, removals

PATIENCE = 120.0
"""The most seconds that a command may take."""
_SCORES = "SELECT run_id, task, metric, value FROM v_scores ORDER BY ALL"

Scores = list[tuple[Any, ...]]


@dataclass
class Round:
    """How a round went. ``again``: how many runs were begun twice; ``problems``: what should not have been."""

    number: int
    fault: str
    struck: str = ""
    again: int = 0
    reran: bool = False
    identical: bool = False
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def went_well(self) -> bool:
        return self.reran and self.identical and not self.problems


def scores_of(store: Path) -> Scores:
    """Return all scores of a store, as ``rmtl-bench db sql`` reads them."""
    return Index(Store.open(store, create=False)).query(_SCORES)[1]


class Campaign:
    """Rounds in a folder, each compared with a store that nobody disturbed, which is made first.

    ``at_once``: how many rounds are to be made at the same time, and so how busy the machine will be.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], at_once: int = 1) -> None:
        self.folder = folder
        self.environment = environment
        self.seconds = 0.0
        # The first one prepares the data, which costs the others nothing.
        self._undisturbed(["warm"])
        scenes = self._undisturbed([f"undisturbed-{number}" for number in range(at_once)])
        self.scores = scores_of(scenes[0].store)
        if len({row[0] for row in self.scores}) != RUNS:
            raise RuntimeError(f"the suite has other than {RUNS} runs")

    def _undisturbed(self, names: Sequence[str]) -> list[Scene]:
        """Run the suite in stores of these names, all at once, and note how long that takes."""
        begun = time.monotonic()
        scenes = [self._scene(self.folder / name, Random(0)) for name in names]  # noqa: S311 -- no secret
        for command in [scene.run() for scene in scenes]:
            if not command.wait(PATIENCE) or command.process.returncode:
                raise RuntimeError(f"an undisturbed run failed: {command.text()}")
        self.seconds = time.monotonic() - begun
        return scenes

    def round(self, number: int, fault: Fault, options: Sequence[str] = (), keep: bool = False) -> Round:
        """Make a round, which its number decides."""
        done = Round(number, fault.name)
        chance = Random(number)  # noqa: S311 -- no secret
        scene = self._scene(self.folder / f"round-{number}", chance, fault.small_disk)
        scene.options = options
        # On a cluster, the nodes have the environment that they were started with.
        ledger = Path(self.environment[LEDGER]) if options else scene.folder / "ledger"
        scene.environment = {**self.environment, LEDGER: str(ledger)}
        ledger.write_bytes(b"")
        begun = time.monotonic()
        with small_disk(scene.store.parent) if fault.small_disk else nullcontext():
            try:
                self._disturb(scene, fault, done)
                self._run_again(scene, done)
                done.seconds = time.monotonic() - begun
                counts = Counter(ledger.read_text().split())
                done.again = sum(counts.values()) - len(counts)
                if done.again > fault.most_again:
                    done.problems.append(f"{done.again} runs were begun again, {fault.most_again} at most were lost")
                self._examine(scene, done)
            finally:
                for command in scene.begun:
                    command.end()
                if keep and not done.went_well and fault.small_disk:
                    shutil.copytree(scene.store, scene.folder / "store-kept", dirs_exist_ok=True)
        if done.went_well or not keep:
            shutil.rmtree(scene.folder)
        return done

    def _scene(self, folder: Path, random: Random, on_small_disk: bool = False) -> Scene:
        folder.mkdir()
        store = folder / "disk" / "store" if on_small_disk else folder / "store"
        return Scene(folder, self.environment, random, self.seconds, store)

    def _disturb(self, scene: Scene, fault: Fault, done: Round) -> None:
        for _ in range(fault.at_once):
            scene.run()
        scene.wait_for_a_moment()
        done.struck = fault.strike(scene)
        for command in scene.begun:
            if not command.wait(PATIENCE):
                done.problems.append(f"a command had not ended {PATIENCE:.0f} s after the fault")
                command.end()
            _note_pages(command.text(), command.process.returncode, done)
        fault.mend(scene)

    def _run_again(self, scene: Scene, done: Round) -> None:
        command = scene.run()
        if not command.wait(PATIENCE):
            done.problems.append(f"the command that was run again had not ended after {PATIENCE:.0f} s")
            return
        done.reran = command.process.returncode == 0
        if not done.reran:
            last = command.text().strip().splitlines()[-1:]
            done.problems.append(f"the command that was run again ended with {command.process.returncode}: {last}")
        _note_pages(command.text(), command.process.returncode, done)

    def _examine(self, scene: Scene, done: Round) -> None:
        """Compare the scores, before and after the index is made anew, and look for what lies about."""
        store = Store.open(scene.store, create=False)
        done.identical = scores_of(scene.store) == self.scores
        left = [path for folder in (store.staging, store.claims, store.checkpoints) for path in folder.glob("*")]
        done.problems += [f"{path} was left" for path in left]
        done.problems += [text for text in _damage(store) if not _is_of(scene.damaged, text)]
        if scene.damaged and not _damage(store):
            done.problems.append(f"db check does not see the damage: {scene.damaged}")
        Index(store).rebuild()
        done.identical = done.identical and scores_of(scene.store) == self.scores
        prune(store, removals(store, Asked()))
        done.problems += [f"after prune: {finding.what}" for finding in check_store(store).findings]
        done.identical = done.identical and scores_of(scene.store) == self.scores


def _damage(store: Store) -> list[str]:
    return [finding.what for finding in check_store(store).findings if finding.damage]


def _is_of(folders: Sequence[Path], text: str) -> bool:
    return any(f"{folder}/" in text or f"{folder} " in text for folder in folders)


def _note_pages(text: str, code: int, done: Round) -> None:
    """Note what a user should not see: a traceback, or an error that nobody has foreseen."""
    if code == -signal.SIGINT and "suite " not in text:
        # Python itself was still starting: what it says of Ctrl-C is nothing of the command's.
        return
    for said in ("Traceback", "unforeseen", "Segmentation"):
        lines = [line for line in text.splitlines() if said in line]
        done.problems += [f"a command that ended with {code} said: {line}" for line in lines[:1]]
