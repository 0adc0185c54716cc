"""The catalogue of this distribution; imports no torch."""

from __future__ import annotations

from rmtl_bench import BackboneInfo, Parameter, hookimpl

_SIZES = {
    "embedding_dim": Parameter(128, "width of the vector of each field", minimum=1),
    "bottom": Parameter((512, 256), "hidden widths of the bottom network, or of each expert", minimum=1),
    "tower": Parameter((128, 64), "hidden widths of each task's tower, before its logit", minimum=1, kind="ints"),
    "dropout": Parameter(0.2, "dropout after each hidden layer", minimum=0.0, maximum=0.99),
}


@hookimpl
def rmtl_backbones() -> list[BackboneInfo]:
    """Return the five backbones of this distribution."""
    return [
        BackboneInfo(
            name="single-task",
            target="rmtl_bench_backbones.single_task:SingleTask",
            summary="one network per task with embeddings of its own; nothing is shared",
            parameters=_SIZES,
        ),
        BackboneInfo(
            name="shared-bottom",
            target="rmtl_bench_backbones.shared_bottom:SharedBottom",
            summary="one bottom network for all tasks, one tower per task",
            paper="Caruana, Multitask Learning, Machine Learning 28, 1997",
            parameters=_SIZES,
            provides=frozenset({"shared-parameters"}),
        ),
        BackboneInfo(
            name="esmm",
            target="rmtl_bench_backbones.esmm:ESMM",
            summary="shared embeddings; a task is the product of the probabilities along its chain of parents",
            paper="Ma et al., Entire Space Multi-Task Model, SIGIR 2018, arXiv 1804.07931",
            parameters=_SIZES,
            requires=frozenset({"parent-task"}),
        ),
        BackboneInfo(
            name="mmoe",
            target="rmtl_bench_backbones.mmoe:MMoE",
            summary="experts shared by all tasks, mixed by one gate per task",
            paper="Ma et al., Multi-gate Mixture-of-Experts, KDD 2018",
            parameters={**_SIZES, "experts": Parameter(8, "number of experts", minimum=1)},
            provides=frozenset({"shared-parameters"}),
        ),
        BackboneInfo(
            name="ple",
            target="rmtl_bench_backbones.ple:PLE",
            summary="levels of shared experts and of each task's own experts; one level per width in 'bottom'",
            paper="Tang et al., Progressive Layered Extraction, RecSys 2020",
            parameters={
                **_SIZES,
                "shared_experts": Parameter(4, "number of shared experts of each level", minimum=1),
                "task_experts": Parameter(4, "number of each task's own experts of each level", minimum=1),
            },
            provides=frozenset({"shared-parameters"}),
        ),
    ]
