"""The catalogue of this distribution; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rmtl_bench import Parameter, WeightingInfo, hookimpl

_PAPER = "Liu et al., Multi-Task Recommendations with Reinforcement Learning, WWW 2023, arXiv:2302.03328"
_CODE = "The published code trains critics on uniform actions, a shifted reward and standardised ids: rmtl-official."
_STAGED = "a training, critics, and a fine-tuning"
_FORMS = ("critic", "constant", "label", "negative", "return", "shuffled")

_LAMBDA = {"lambda_q": Parameter(0.7, "lambda in omega = 1 - lambda * Q", minimum=0)}
_DISCOUNT = {"discount": Parameter(0.95, "gamma, the discount of the session's later rewards", minimum=0, maximum=1)}
_ACTIONS = {
    "action_noise": Parameter(3.0, "sd of the noise on the logits of the actions critics are trained on", minimum=0),
    "uniform_actions": Parameter(0.1, "share of rows whose actions are uniform in [0, 1]", minimum=0, maximum=1),
}
_CRITICS = {
    "soft_update": Parameter(0.2, "beta, the share of the new critic in its target at each step", minimum=0, maximum=1),
    **_ACTIONS,
    "shared_bottom": Parameter(True, "whether the critics of all tasks share embeddings and bottom"),
    "twin_critics": Parameter(False, "whether targets take the smaller of two critics' values, as in TD3"),
    "embedding_dim": Parameter(128, "width of the critics' embeddings", minimum=1),
    "bottom": Parameter((512, 256), "widths of the critics' bottom", minimum=1),
    "tower": Parameter((128, 64), "widths of each critic's own layers", minimum=1),
    "dropout": Parameter(0.2, "dropout while critics are trained", minimum=0, maximum=0.95),
    "critic_learning_rate": Parameter(1e-3, "Adam's step size for the critics", minimum=0),
}
_CRITIC_STAGE = {
    "importance": Parameter(False, "whether positives and negatives count the same in the TD error"),
    "critic_epochs": Parameter(50, "epochs of the critics at most", minimum=1),
    "critic_patience": Parameter(5, "epochs without progress after which Q has converged", minimum=1),
    "critic_tolerance": Parameter(0.002, "relative fall of the return error that is no progress", minimum=0),
}
_FROM = {
    "critic_from": Parameter(
        "", "backbone of the suite whose run's critics weight this one; empty: its own", backbone_of_source=True
    ),
}
_FINE_TUNE = {
    "fine_tune_learning_rate": Parameter(2e-4, "Adam's step size in fine-tuning", minimum=0),
    "fine_tune_epochs": Parameter(10, "epochs of fine-tuning at most", minimum=1),
    "pre_trained_counts": Parameter(True, "whether the pre-trained weights may be the best of fine-tuning"),
}
_RMTL = {**_LAMBDA, **_DISCOUNT, **_CRITICS, **_CRITIC_STAGE, **_FINE_TUNE}

_FAULTS = {
    "shifted_reward": Parameter(True, "the reward of (a + 1) / 2, learnt as that of a"),
    "standardised_ids": Parameter(True, "critics learn from ids standardised by batch and cut to whole numbers"),
    "action_below_bottom": Parameter(True, "the action enters as a probability beside the embeddings"),
    "target_minimum": Parameter(True, "a target is the smaller of the target's and the critic's own value"),
    "dropout_everywhere": Parameter(True, "dropout in targets and weights"),
    "dead_zone": Parameter(True, "Q = -ReLU(z) instead of -softplus(z)"),
    "identical_start": Parameter(True, "critics without a common bottom start as copies of one"),
    "cut_is_end": Parameter(True, "sessions cut by a split boundary are taken for ended"),
    "target_every": Parameter(2, "steps between two moves of the target", minimum=1),
}
_AS_PUBLISHED = {
    "lambda_q": Parameter(1.0, "lambda in omega = 1 - lambda * Q", minimum=0),
    "discount": Parameter(0.9, "gamma, the discount of the session's later rewards", minimum=0, maximum=1),
    "action_noise": Parameter(0.0, _ACTIONS["action_noise"].help, minimum=0),
    "uniform_actions": Parameter(1.0, _ACTIONS["uniform_actions"].help, minimum=0, maximum=1),
    "shared_bottom": Parameter(False, "whether the critics of all tasks share embeddings and bottom"),
    "fine_tune_learning_rate": Parameter(1e-3, "Adam's step size in fine-tuning", minimum=0),
    "pre_trained_counts": Parameter(False, "whether the pre-trained weights may be the best of fine-tuning"),
}


def _form(name: str) -> dict[str, Parameter]:
    return {"weights": Parameter(name, "what omega is made of; fixed under this name", choices=(name,))}


def _variant(name: str, form: str, summary: str, parameters: dict[str, Parameter]) -> WeightingInfo:
    return WeightingInfo(
        name=name,
        target="rmtl_bench_rmtl.rmtl:RMTL",
        summary=summary,
        version=2,
        paper=_PAPER,
        year=2023,
        form="staged",
        cost="a training and a fine-tuning" if form in ("constant", "return") else _STAGED,
        parameters={**_form(form), **parameters},
        requires=frozenset({"sessions"}),
    )


@hookimpl
def rmtl_weightings() -> Iterable[WeightingInfo]:
    """Return RMTL, its variants and controls, and the actors trained by critics alone."""
    return [
        WeightingInfo(
            name="rmtl",
            target="rmtl_bench_rmtl.rmtl:RMTL",
            summary="per-sample weights 1 - lambda * Q from one session critic a task, in three stages",
            version=2,
            paper=_PAPER,
            year=2023,
            differs=_CODE,
            form="staged",
            cost=_STAGED,
            parameters={
                "weights": Parameter("critic", "what omega is made of; the controls by their names", choices=_FORMS),
                **_RMTL,
                **_FROM,
            },
            requires=frozenset({"sessions"}),
        ),
        _variant(
            "rmtl-cw", "constant", "RMTL's control: the same training of the actor, but every weight is 1", _FINE_TUNE
        ),
        _variant("rmtl-wl", "label", "RMTL's ablation WL: weights 1 - lambda * label * Q", _RMTL),
        _variant(
            "rmtl-nlc",
            "negative",
            "RMTL's ablation NLC: weights -Q, no linear combination",
            {name: parameter for name, parameter in _RMTL.items() if name not in _LAMBDA},
        ),
        _variant(
            "rmtl-mc",
            "return",
            "RMTL without critics: weights 1 - lambda * R, R the exact discounted return of the logged session",
            {**_LAMBDA, **_DISCOUNT, **_FINE_TUNE},
        ),
        _variant("rmtl-shuffled", "shuffled", "RMTL's weights permuted over the batch: no information left", _RMTL),
        WeightingInfo(
            name="rmtl-official",
            target="rmtl_bench_rmtl.official:OfficialRMTL",
            summary="RMTL with the published code's choices, each a switch",
            version=2,
            paper=_PAPER,
            year=2023,
            form="staged",
            cost=_STAGED,
            parameters={**_RMTL, **_AS_PUBLISHED, **_FAULTS},
            requires=frozenset({"sessions"}),
        ),
        WeightingInfo(
            name="ddpg",
            target="rmtl_bench_rmtl.actor_critic:ActorCritic",
            summary="an actor trained by its critics' gradient alone; on PLE, the paper's baseline D-PLE",
            paper="Lillicrap et al., Continuous control with deep reinforcement learning, ICLR 2016, arXiv:1509.02971",
            year=2016,
            form="staged",
            cost="critics, then critics and actor together",
            parameters=_actor_critic(alpha=0.0, target_noise=0.0, actor_every=1, twin_critics=False),
            requires=frozenset({"sessions"}),
        ),
        WeightingInfo(
            name="td3-bc",
            target="rmtl_bench_rmtl.actor_critic:ActorCritic",
            summary="twin critics' gradient beside the supervised loss, the modern form of ddpg",
            paper="Fujimoto and Gu, A Minimalist Approach to Offline RL, NeurIPS 2021, arXiv:2106.06860",
            year=2021,
            form="staged",
            cost="critics, then critics and actor together",
            parameters=_actor_critic(alpha=2.5, target_noise=0.2, actor_every=2, twin_critics=True),
            requires=frozenset({"sessions"}),
        ),
    ]


def _actor_critic(*, alpha: float, target_noise: float, actor_every: int, twin_critics: bool) -> dict[str, Parameter]:
    return {
        **_DISCOUNT,
        **_CRITICS,
        **{name: parameter for name, parameter in _CRITIC_STAGE.items() if name != "importance"},
        "twin_critics": Parameter(twin_critics, _CRITICS["twin_critics"].help),
        "target_noise": Parameter(target_noise, "sd of the noise on the logits of the target's action", minimum=0),
        "actor_every": Parameter(actor_every, "steps of the critics for one of the actor", minimum=1),
        "alpha": Parameter(alpha, "weight of the critics' values beside the loss; 0: they are all", minimum=0),
        "epochs": Parameter(50, "epochs of actor and critics at most", minimum=1),
        "patience": Parameter(5, "epochs without a better actor after which they end", minimum=1),
        "pre_train": Parameter(False, "whether to begin with a training under equal weights"),
    }


@hookimpl
def rmtl_suites() -> Iterable[Path]:
    """Return the suites that put RMTL to the test."""
    return sorted((Path(__file__).parent / "suites").glob("*.toml"))
