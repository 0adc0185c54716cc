"""How many seeds a difference takes: for a standard deviation that is given, or for those of a suite that was run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.document import DASH, Column, Document, Section, against, chosen, number
from rmtl_bench.report.layout import direction
from rmtl_bench.report.stored_suite import StoredSuite
from rmtl_bench.statistics import detectable_effect, run_families
from rmtl_bench.statistics.paired import ALPHA
from rmtl_bench.statistics.power import POWER, POWER_COLUMNS, power_table, reachable_seeds, seeds_needed
from rmtl_bench.statistics.verdicts import MIN_SEEDS

PLAN_COLUMNS = ["difference", "sd", "comparisons", "power", "seeds", "reachable"]
"""The columns of a plan: either ``difference`` or ``seeds`` was given, and the other found."""

_PLAN = (
    Column("difference", numeric=True),
    Column("sd", numeric=True),
    Column("comparisons", numeric=True),
    Column("power", numeric=True),
    Column("seeds", numeric=True),
    Column("an exact test needs", numeric=True),
)
_SUITE = (
    Column("data set", width=20),
    Column("task", width=12),
    Column("candidate", width=26),
    Column("against", width=14),
    Column("n", numeric=True),
    Column("sd", numeric=True),
    Column("detectable", numeric=True),
    Column("to see", numeric=True),
    Column("seeds", numeric=True),
)
_ESTIMATE = (
    "sd is an estimate, and the number of seeds goes with its square: from 5 seeds, the 95 % interval of an sd reaches "
    "from 0.6 to 2.9 times its value. More seeds say nothing about other test data."
)
_REACHABLE = "an exact test needs: on fewer seeds it cannot reach the corrected level, whatever the scores."
_LARGEST_RATIO = 1e6


def plan_document(
    sd: float, *, difference: float | None = None, seeds: int | None = None, comparisons: int = 1, power: float = POWER
) -> Document:
    """Return the seeds that a difference takes, or the difference that some seeds find; one of the two is given.

    ``difference`` and ``sd``, the standard deviation of the paired differences, are in the metric's unit;
    ``comparisons`` tests share the level 0.05. Raises :class:`UsageError` for numbers that cannot be.
    """
    _check(sd, "--sd")
    _check_power(power)
    if comparisons < 1:
        raise UsageError(f"--comparisons {comparisons} is no number of tests; it takes at least 1")
    if (difference is None) == (seeds is None):
        raise UsageError("with --sd, give one of --difference and --seeds: the other is found")
    reachable = reachable_seeds(comparisons)
    if difference is not None:
        _check(difference, "--difference")
        _check_ratio(difference, sd)
        size, count = difference, seeds_needed(difference, sd, comparisons=comparisons, power=power)
        title = f"{count} seeds are needed to see a difference of {size:g}"
    else:
        count = seeds or 0
        size = _detectable(count, sd, comparisons, power)
        title = f"{count} seeds see a difference of {size:.3g}"
    table = pd.DataFrame([[size, sd, comparisons, power, count, reachable]], columns=PLAN_COLUMNS)
    row = (f"{size:.3g}", f"{sd:.3g}", str(comparisons), f"{power:g}", str(count), str(reachable))
    return Document(
        title=title,
        notes=(),
        sections=(Section("two-sided paired t test over seeds, level 0.05", _PLAN, (row,)),),
        footnotes=(_sharing(comparisons), _REACHABLE, _ESTIMATE),
        tables={"power": table},
        settings={"alpha": ALPHA},
    )


def suite_power_document(
    suite: StoredSuite,
    metrics: Sequence[str] | None = None,
    *,
    difference: float | None = None,
    against_pattern: str | None = None,
    power: float = POWER,
) -> Document:
    """Return what the seeds of a suite find, and how many a difference takes, for each declared comparison.

    ``metrics`` chooses what the text formats show; ``difference``, in the metric's unit, is by default the half-width
    of the suite's equivalence region; ``against_pattern`` stands in for the declared references, as
    :meth:`StoredSuite.settings` takes it. Raises :class:`UsageError` for numbers that cannot be, or a pattern that
    matches no method.
    """
    _check_power(power)
    if difference is not None:
        _check(difference, "--difference")
    settings = suite.settings(against=against_pattern)
    declared = () if against_pattern is not None else settings.families
    families = [family for family in (settings.reference, *declared) if family is not None]
    rows = run_families(suite.scores, families, suite.higher_is_better, suite.equivalence, only_shared=True)
    if difference is not None and rows["sd"].notna().any():
        _check_ratio(difference, float(rows["sd"].max()))
    table = power_table(rows, difference=difference, equivalence=suite.equivalence, power=power)
    return Document(
        title=f"How many seeds? {settings.title}",
        notes=settings.notes,
        sections=tuple(_sections(chosen(table, metrics), suite.higher_is_better)),
        footnotes=tuple(_footnotes(chosen(table, metrics), power)),
        tables={"power": table[POWER_COLUMNS]},
        settings={"alpha": ALPHA, "power": power, "equivalence": dict(suite.equivalence)},
    )


def _sections(table: pd.DataFrame, higher_is_better: Mapping[str, bool]) -> Iterable[Section]:
    for (family, metric), group in table.groupby(["family", "metric"], sort=False):
        first = group.iloc[0]
        title = (
            f"{family}: {direction(metric, higher_is_better)}; comparisons: {first['comparisons']}, "
            f"an exact test needs {first['reachable']} seeds"
        )
        yield Section(title, _SUITE, tuple(_row(r) for r in group.to_dict("records")))


def _row(r: Mapping[str, object]) -> tuple[str, ...]:
    seeds = r["seeds"]
    return (
        str(r["dataset"]),
        str(r["task"]),
        str(r["candidate"]),
        against(str(r["candidate"]), r["reference"]),
        str(r["n"]),
        *(number(float(str(r[key]))) for key in ("sd", "detectable", "difference")),
        DASH if pd.isna(seeds) else str(seeds),
    )


def _footnotes(table: pd.DataFrame, power: float) -> Iterable[str]:
    yield (
        "sd: of the paired differences over the n seeds that both methods have. detectable: the difference that these "
        f"n seeds find with {100 * power:g} % power. seeds: how many find the difference 'to see' as often."
    )
    yield (
        "Both are for the two-sided paired t test at 0.05, shared by the comparisons of the family and metric "
        "(Bonferroni, the safe side of Holm)."
    )
    yield _REACHABLE
    yield _ESTIMATE
    if table["difference"].isna().any():
        yield "A dash under 'to see': the suite declares no equivalence region for the metric; --difference gives one."


def _sharing(comparisons: int) -> str:
    if comparisons == 1:
        return "comparisons: 1; --comparisons M is for a level that is shared by M tests."
    return f"comparisons: the {comparisons} tests share the level (Bonferroni, the safe side of Holm)."


def _detectable(seeds: int, sd: float, comparisons: int, power: float) -> float:
    if seeds < MIN_SEEDS:
        raise UsageError(f"--seeds {seeds} is too few for a t test; it takes at least {MIN_SEEDS}")
    return detectable_effect(seeds, ALPHA / comparisons, power) * sd


def _check(value: float, option: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{option} {value:g} is no size; it takes a number above 0")


def _check_ratio(difference: float, largest_sd: float) -> None:
    if largest_sd / difference > _LARGEST_RATIO:
        raise UsageError(
            f"--difference {difference:g} is below a millionth of the sd {largest_sd:g}: no number of seeds is enough"
        )


def _check_power(power: float) -> None:
    if not 0 < power < 1:
        raise UsageError(f"--power {power:g} is no power; it takes a number between 0 and 1")
