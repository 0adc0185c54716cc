from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.report import Leaderboard, LeaderboardSettings, StoredDiagnostics, StoredSuite, build_leaderboard
from rmtl_bench.report.figures import ReportFigure, report_figures, to_svg
from rmtl_bench.statistics import Family
from rmtl_bench.statistics.friedman import Friedman
from rmtl_bench.store import PlannedCell, Refreshed, StoredPlan

ODD = '<script>alert("1")</script> & $x$ 点'
DATASET = "a & b"
BACKBONES = ("ple", "mmoe")
WEIGHTINGS = ("equal", "tuned", ODD, *(f"other-{number}" for number in range(6)))
TASKS = ("click", "pay")
SEEDS = 4
CONFIDENCE = 0.95


# The class is here, and not in a module of its own, because tests are imported by their paths.
class Svg:
    """A parsed SVG."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = ElementTree.fromstring(text)  # noqa: S314 -- our own drawing

    def all(self, tag: str = "") -> list[ElementTree.Element]:
        return [element for element in self.root.iter() if not tag or element.tag.endswith("}" + tag)]

    def values(self, attribute: str) -> list[str]:
        return [element.attrib[attribute] for element in self.root.iter() if attribute in element.attrib]

    def of_method(self, method: str) -> Iterator[ElementTree.Element]:
        for element in self.root.iter():
            if element.attrib.get("data-method") == method:
                yield from element.iter()

    def texts(self) -> list[str]:
        return ["".join(element.itertext()) for element in self.all("text")]

    def style(self, element: ElementTree.Element) -> str:
        """The style of an element, its class resolved."""
        rules: dict[str, Any] = dict(
            re.findall(r"\.([\w-]+)\{([^}]*)\}", "".join(e.text or "" for e in self.all("style")))
        )
        return element.attrib.get("style", "") + rules.get(element.attrib.get("class", ""), "")


Parts = tuple[StoredSuite, Leaderboard, StoredDiagnostics, pd.DataFrame]
MakeParts = Callable[..., Parts]


def settings() -> LeaderboardSettings:
    return LeaderboardSettings(
        title="t",
        higher_is_better={"auc": True, "logloss": False, "auc-gap": False},
        reference=Family("reference", ("*",), ("*/equal",)),
        families=(Family("named", ("*/<script>*",), ("*/tuned",)), Family("all", ("*/*",), ("*/tuned",))),
    )


def _scores(methods: list[str], seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (DATASET, *method.split("/", 1), method, task, metric, seed, abs(base + rng.normal(0, 0.01)))
        for method in methods
        for task in TASKS
        for metric, base in (("auc", 0.7), ("logloss", 0.3), ("auc-gap", 0.05))
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["dataset", "backbone", "weighting", "method", "task", "metric", "seed", "value"])


def _epochs(methods: list[str], seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (DATASET, *method.split("/", 1), stage, epoch, task, quantity, rng.normal(0.7, 0.05))
        for method in methods
        for stage in (("warm-up", "critic", "end") if ODD in method else ("train",))
        for epoch in (1, 2, 3)
        for task in TASKS
        for quantity in (("td-error",) if stage == "critic" else ("auc", "logloss", "train-loss"))
    ]
    columns = ["dataset", "backbone", "weighting", "stage", "epoch", "task", "quantity", "mean"]
    return pd.DataFrame(rows, columns=columns).assign(sd=0.01 if seeds > 1 else np.nan, n=seeds)


def _weights(methods: list[str], seeds: int) -> pd.DataFrame:
    rows = [
        (DATASET, *method.split("/", 1), stage, epoch, task, 1 + epoch * (task == "pay"))
        for method in methods
        if "equal" not in method
        for stage in (("warm-up", "end") if ODD in method else ("train",))
        for epoch in (1, 2, 3)
        for task in TASKS
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "backbone", "weighting", "stage", "epoch", "task", "mean"])
    quantiles = {f"q{q:02}": frame["mean"] * (1 + (q - 50) / 200) for q in (5, 25, 50, 75, 95)}
    return frame.assign(sd=0.01 if seeds > 1 else np.nan, **quantiles, n=seeds)


def _final(methods: list[str], seeds: int) -> pd.DataFrame:
    rows = [
        (DATASET, *method.split("/", 1), task, quantity, position, 1.0 + max(position, 0))
        for method in methods
        if ODD in method
        for task in TASKS
        for quantity, positions in (("found", (-1,)), ("by-place", (0, 1, 2)))
        for position in positions
    ]
    columns = ["dataset", "backbone", "weighting", "task", "quantity", "position", "mean"]
    return pd.DataFrame(rows, columns=columns).assign(sd=0.01 if seeds > 1 else np.nan, n=seeds)


def _bins(methods: list[str]) -> pd.DataFrame:
    rows = [
        (DATASET, *method.split("/", 1), task, number, 100, place, place * 1.1)
        for method in methods
        for task, scale in (("click", 0.09), ("pay", 0.0009))
        for number, place in enumerate(scale * np.arange(1, 11))
    ]
    return pd.DataFrame(
        rows, columns=["dataset", "backbone", "weighting", "task", "bin", "n", "mean_score", "mean_label"]
    )


@pytest.fixture(scope="session")
def make_parts() -> MakeParts:
    """Make what a report is drawn from, of methods with this many seeds."""

    def make(seeds: int = SEEDS, weightings: tuple[str, ...] = WEIGHTINGS, planned: int | None = None) -> Parts:
        rng = np.random.default_rng(0)
        methods = [f"{backbone}/{weighting}" for backbone in BACKBONES for weighting in weightings]
        cells = tuple(
            PlannedCell(f"{method}{seed}", DATASET, *method.split("/", 1), seed)
            for method in methods
            for seed in range(planned or seeds)
        )
        plan = StoredPlan("s", 1, "d", cells, metrics=("auc", "logloss"))
        scores = _scores(methods, seeds, rng)
        runs = scores[["dataset", "method", "seed"]].drop_duplicates()
        costs = runs.assign(seconds_a_step=rng.uniform(0.01, 0.1, len(runs)), parameters=1000.0)
        made = settings()
        suite = StoredSuite(plan, scores, costs, made.higher_is_better, {}, Refreshed(0, 0, ()))
        board = build_leaderboard(scores, suite.expected, made, costs)
        epochs, weights, final = _epochs(methods, seeds, rng), _weights(methods, seeds), _final(methods, seeds)
        diagnostics = StoredDiagnostics(plan, epochs, weights, final, len(cells), Refreshed(0, 0, ()))
        return suite, board, diagnostics, _bins(methods)

    return make


@pytest.fixture(scope="session")
def tested() -> Friedman:
    methods = tuple(f"ple/{weighting}" for weighting in WEIGHTINGS[:4])
    return Friedman(
        metric="auc",
        blocks=tuple("abcdefgh"),
        methods=methods,
        left_out=(),
        statistic=9.0,
        p=0.01,
        average_ranks=pd.Series([1.2, 1.9, 3.0, 3.9], methods),
        groups=(methods[:2], methods[2:]),
    )


@pytest.fixture(scope="session")
def drawn(make_parts: MakeParts, tested: Friedman) -> list[tuple[ReportFigure, str]]:
    """Every figure of a report with its SVG; the figures are only looked at."""
    figures = report_figures(*make_parts(), critical=tested)
    return [(figure, to_svg(figure, f"f{number}-")) for number, figure in enumerate(figures)]


@pytest.fixture(scope="session")
def parse() -> type[Svg]:
    return Svg


@pytest.fixture(scope="session")
def svgs(drawn: list[tuple[ReportFigure, str]]) -> dict[str, Svg]:
    """The figures of a report, parsed, by slug."""
    return {figure.slug: Svg(text) for figure, text in drawn}


@pytest.fixture(scope="session")
def odd() -> str:
    """A weighting whose name XML, formulas and fonts would each read as their own."""
    return ODD
