"""The catalogue of this distribution; imports no torch and no DuckDB."""

from __future__ import annotations

from rmtl_bench import DatasetInfo, Parameter, hookimpl

_SPLIT = Parameter((0.6, 0.2, 0.2), "shares of train, valid and test, by time", minimum=0, maximum=1)
_GAP = Parameter(30.0, "minutes without a row that end a session, where sessions = 'gap'", minimum=0)
_MIN_COUNT = Parameter(2, "training rows that a value needs for an id of its own", minimum=1)
_PROVIDES = frozenset({"sessions", "parent-task"})

# Spelt out, not imported: the modules behind the targets import DuckDB. A test compares the two.
_SIGNALS = ("click", "long-view", "like", "follow", "comment", "forward", "hate", "profile-enter")

_KUAIRAND_PAPER = "Gao et al., KuaiRand, CIKM 2022, arXiv:2208.08696"
_KUAIRAND = {
    "tasks": Parameter(("click", "long-view"), "signals to predict; click is the parent of the rest", choices=_SIGNALS),
    "sessions": Parameter("week", "what a session of a user is", choices=("week", "day", "user", "gap")),
    "gap_minutes": _GAP,
    "split": _SPLIT,
    "users": Parameter(1.0, "share of the users to take, by their id", minimum=0.001, maximum=1),
    "min_count": _MIN_COUNT,
}


@hookimpl
def rmtl_datasets() -> list[DatasetInfo]:
    """Return the data sets of this distribution."""
    return [
        DatasetInfo(
            name="kuairand-pure",
            target="rmtl_bench_datasets.kuairand:KuaiRand",
            summary="KuaiRand-Pure: 1.4 million exposures of short videos; CC BY-SA 4.0, to be downloaded",
            paper=_KUAIRAND_PAPER,
            parameters=_KUAIRAND,
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="kuairand-1k",
            target="rmtl_bench_datasets.kuairand:KuaiRand1K",
            summary="KuaiRand-1K: 11.7 million exposures in complete sequences; CC BY-SA 4.0, to be downloaded",
            paper=_KUAIRAND_PAPER,
            parameters=_KUAIRAND,
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="kuairand-pure-sample",
            target="rmtl_bench_datasets.kuairand:KuaiRandPureSample",
            summary="two weeks of KuaiRand-Pure, real and embedded: 222,869 exposures; CC BY-SA 4.0",
            paper=_KUAIRAND_PAPER,
            parameters=_KUAIRAND,
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="retailrocket",
            target="rmtl_bench_datasets.retailrocket:RetailRocket",
            summary="RetailRocket: 2.7 million views in a web shop, put into the cart, bought; to be downloaded",
            paper="Retailrocket recommender system dataset, Kaggle, CC BY-NC-SA 4.0",
            parameters={
                "sessions": Parameter("gap", "what a session of a visitor is", choices=("gap", "visitor")),
                "gap_minutes": _GAP,
                "split": _SPLIT,
                "min_session_rows": Parameter(1, "views that a session needs to be kept", minimum=1),
                "min_count": _MIN_COUNT,
            },
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="simulated",
            target="rmtl_bench_datasets.simulated:Simulated",
            summary="sessions whose true probabilities are known, so that the best possible score is, too",
            version=2,
            parameters={
                "rows": Parameter(50_000, "number of rows", minimum=100),
                "tasks": Parameter(2, "number of tasks", minimum=1, maximum=20),
                "rates": Parameter((0.2, 0.05), "share of positives by task; a quarter of the one before if left out"),
                "conflict": Parameter(0.3, "0: the tasks agree, 0.5: unrelated, 1: opposed", minimum=0, maximum=1),
                "dependence": Parameter(0.3, "share of a session in the noise's variance", minimum=0, maximum=1),
                "signal": Parameter(0.6, "sd of the predictors against noise of sd 1", minimum=0),
                "sessions": Parameter(
                    "page", "whether a row tells its place in a session", choices=("page", "geometric")
                ),
                "session_length": Parameter(5.0, "rows of a page, mean rows of a geometric session", minimum=1),
                "funnel": Parameter(True, "whether each task is the parent of the next"),
                "split": _SPLIT,
                "seed": Parameter(0, "of the data themselves", minimum=0),
            },
            provides=_PROVIDES | {"optimum"},
        ),
    ]
