"""The catalogue of this distribution; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rmtl_bench import Parameter, WeightingInfo, hookimpl

_PAPER = "Liu et al., Multi-Task Recommendations with Reinforcement Learning, WWW 2023, arXiv:2302.03328"

_PARAMETERS = {
    "lambda_q": Parameter(0.7, "lambda in omega = 1 - lambda * Q", minimum=0),
    "discount": Parameter(0.95, "gamma, the discount of the session's later rewards", minimum=0, maximum=1),
    "soft_update": Parameter(0.2, "beta, the share of the new critic in its target at each step", minimum=0, maximum=1),
    "action_noise": Parameter(0.0, "sd of the noise on the logits of the actions critics are trained on", minimum=0),
    "embedding_dim": Parameter(128, "width of the critics' embeddings", minimum=1),
    "bottom": Parameter((512, 256), "widths of the critics' shared bottom", minimum=1),
    "tower": Parameter((128, 64), "widths of each critic's own layers", minimum=1),
    "dropout": Parameter(0.2, "dropout while critics are trained", minimum=0, maximum=0.95),
    "critic_learning_rate": Parameter(1e-3, "Adam's step size for the critics", minimum=0),
    "critic_epochs": Parameter(10, "epochs of the critics at most", minimum=1),
    "critic_tolerance": Parameter(0.001, "relative fall of the return error under which Q has converged", minimum=0),
    "fine_tune_learning_rate": Parameter(2e-4, "Adam's step size in fine-tuning", minimum=0),
    "fine_tune_epochs": Parameter(10, "epochs of fine-tuning at most", minimum=1),
    "pre_trained_counts": Parameter(True, "whether the pre-trained weights may be the best of fine-tuning"),
}


@hookimpl
def rmtl_weightings() -> Iterable[WeightingInfo]:
    """Return RMTL and its budget-matched control."""
    return [
        WeightingInfo(
            name="rmtl",
            target="rmtl_bench_rmtl.rmtl:RMTL",
            summary="per-sample weights 1 - lambda * Q from one session critic a task, in three stages",
            paper=_PAPER,
            parameters=_PARAMETERS,
            requires=frozenset({"sessions"}),
        ),
        WeightingInfo(
            name="rmtl-cw",
            target="rmtl_bench_rmtl.rmtl:RMTLConstantWeights",
            summary="RMTL's control: the same three stages and budget, but every weight is 1",
            paper=_PAPER,
            parameters=_PARAMETERS,
            requires=frozenset({"sessions"}),
        ),
    ]


@hookimpl
def rmtl_suites() -> Iterable[Path]:
    """Return the suites that put RMTL to the test."""
    return sorted((Path(__file__).parent / "suites").glob("*.toml"))
