"""The lines under a table that say how its numbers were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rmtl_bench.statistics import DEFAULT_PROTOCOL, Region, find_protocol

COUNTS = (
    "n/N: of N planned seeds, n have this score; a cell with n < N is listed as incomplete and has no rank. "
    "Differences use the seeds that both methods have."
)
"""What n/N means."""

RANK = (
    "rank: 1 + the number of methods that are better in paired t tests over all pairs of the cell (Holm-adjusted "
    "p < 0.05). Equal ranks are ties; the order by mean within a tie says nothing."
)
"""How ranks are made."""

ROBUST = (
    "†: an exact sign-flip permutation test, Holm-adjusted in the same way, comes down on the other side of 0.05. "
    "deterministic: every seed has the same difference; nothing was tested."
)
"""What the dagger means."""

COST = (
    "cost: the median, over the n seeds that say it, of the seconds of a training step, evaluation left out; ratio: to "
    "that of the declared reference. Runs shared the machine, so that only ratios mean something. parameters: those of "
    "the backbone."
)
"""What a cost is."""


def difference(confidence: float, protocol: str = DEFAULT_PROTOCOL) -> str:
    """Return how means, differences and p are made; ``protocol`` is one of the statistics' own."""
    level = f"{100 * confidence:g} %"
    return (
        f"±: half-width of the {level} t interval over seeds. difference: method - reference, paired by seed; "
        f"p: {find_protocol(protocol).summary}."
    )


def controls(families: Sequence[str]) -> str:
    """Return what stands beside a row, against its control."""
    named = ", ".join(repr(family) for family in families)
    return (
        "against its control: the control that the suite declares for the method, and the verdict against it: "
        f"the row of {named}, corrected there and not tested again."
    )


def verdicts(equivalence: Mapping[str, float | str], protocol: str = DEFAULT_PROTOCOL) -> str:
    """Return how verdicts are made."""
    if not find_protocol(protocol).corrected:
        return "better, worse: p < 0.05, not adjusted; not starred: neither, which is no sign of equality."
    regions = ", ".join(f"{metric} ±{_region(text)}" for metric, text in equivalence.items()) or "none declared"
    return (
        f"better, worse: adjusted p < 0.05; (small): mean difference inside the equivalence region ({regions}); "
        "equivalent: 90 % interval inside it. unresolved: neither; mde: the difference that this many seeds find with "
        "80 % power. n too small: fewer than 3 seeds, or too few for an exact test to reach the corrected level."
    )


def _region(text: float | str) -> str:
    region = Region.parse(text)
    return f"{region.size:g} % of the reference" if region.percent else f"{region.size:g}"
