"""The metrics that come with the harness, as any plugin would offer them."""

from __future__ import annotations

from rmtl_bench.contracts.catalogue import MetricInfo, hookimpl

_RANKING = "rmtl_bench.metrics.ranking"
_PROBABILITY = "rmtl_bench.metrics.probability"


@hookimpl
def rmtl_metrics() -> list[MetricInfo]:
    """Return the harness's own metrics."""
    return [
        MetricInfo(
            name="auc",
            target=f"{_RANKING}:auc",
            summary="chance that a random positive is scored above a random negative",
            paper="Hanley and McNeil 1982, Radiology 143",
            higher_is_better=True,
            gap_to_optimum=True,
        ),
        MetricInfo(
            name="gauc",
            target=f"{_RANKING}:gauc",
            summary="AUC within each user, averaged with the users' row counts as weights",
            paper="Zhu et al. 2017, Optimized Cost per Click in Taobao Display Advertising",
            higher_is_better=True,
        ),
        MetricInfo(
            name="logloss",
            target=f"{_PROBABILITY}:logloss",
            summary="mean negative log-likelihood of the labels, in nats",
            higher_is_better=False,
            gap_to_optimum=True,
        ),
        MetricInfo(
            name="session-logloss",
            target=f"{_PROBABILITY}:session_logloss",
            summary="mean over sessions of the session's mean logloss: a long session counts like a short one",
            paper="Liu et al. 2023, Multi-Task Recommendations with Reinforcement Learning",
            higher_is_better=False,
        ),
        MetricInfo(
            name="normalised-entropy",
            target=f"{_PROBABILITY}:normalised_entropy",
            summary="logloss relative to always predicting the test split's base rate; below 1 is better than that",
            paper="He et al. 2014, Practical Lessons from Predicting Clicks on Ads at Facebook",
            higher_is_better=False,
        ),
        MetricInfo(
            name="ece",
            target=f"{_PROBABILITY}:ece",
            summary="expected calibration error over 20 bins of equal mass",
            paper="Naeini et al. 2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning",
            higher_is_better=False,
        ),
    ]
