"""The catalogue of this distribution; imports no torch."""

from __future__ import annotations

from rmtl_bench import BackboneInfo, Parameter, hookimpl

_SIZES = {
    "embedding_dim": Parameter(128, "width of the vector of each field", minimum=1),
    "bottom": Parameter((512, 256), "hidden widths of the bottom network, or of each expert", minimum=1),
    "tower": Parameter((128, 64), "hidden widths of each task's tower, before its logit", minimum=1, kind="ints"),
    "dropout": Parameter(0.2, "dropout after each hidden layer", minimum=0.0, maximum=0.99),
}

_INTERACTION = {
    "interaction": Parameter(
        "mlp",
        "how fields meet before the network: not at all, in cross layers, or in a factorization machine beside it",
        choices=("mlp", "dcn-v2", "deepfm"),
        added=True,
    ),
    "cross_layers": Parameter(2, "number of cross layers of the interaction dcn-v2", minimum=1, added=True),
}
"""Of every backbone that embeds all fields once; see ``embedding_backbone``."""

_SHARED = frozenset({"shared-parameters", "shared-representation"})


@hookimpl
def rmtl_backbones() -> list[BackboneInfo]:
    """Return the backbones of this distribution."""
    return [
        BackboneInfo(
            name="single-task",
            target="rmtl_bench_backbones.single_task:SingleTask",
            summary="one network per task with embeddings of its own; nothing is shared",
            differs="tasks do not even share the embedding table; in some implementations they do",
            parameters=_SIZES,
        ),
        BackboneInfo(
            name="shared-bottom",
            target="rmtl_bench_backbones.shared_bottom:SharedBottom",
            summary="one bottom network for all tasks, one tower per task",
            paper="Caruana, Multitask Learning, Machine Learning 28, 1997",
            year=1997,
            differs="the last layer of the bottom is activated like the others; in some implementations it is linear",
            parameters={**_SIZES, **_INTERACTION},
            provides=_SHARED,
        ),
        BackboneInfo(
            name="cross-stitch",
            target="rmtl_bench_backbones.cross_stitch:CrossStitch",
            summary="one network per task; after each layer of 'bottom' a learned matrix mixes the tasks' activations",
            paper="Misra et al., Cross-stitch Networks for Multi-task Learning, CVPR 2016, arXiv 1604.03539",
            year=2016,
            differs="one matrix for a whole layer, where the paper can have one per channel; the networks are not "
            "trained one by one before, and the matrices have no learning rate of their own",
            parameters={
                **_SIZES,
                "same": Parameter(0.9, "what a task takes of its own activations at the start", minimum=0, maximum=1),
                **_INTERACTION,
            },
            provides=_SHARED,
        ),
        BackboneInfo(
            name="esmm",
            target="rmtl_bench_backbones.esmm:ESMM",
            summary="shared embeddings; a task is the product of the probabilities along its chain of parents",
            paper="Ma et al., Entire Space Multi-Task Model, SIGIR 2018, arXiv 1804.07931",
            year=2018,
            differs="returns the logit of the product in a stable form, where others take the cross-entropy of the "
            "product itself; any funnel is allowed, and a chain of three tasks is ESMM2",
            parameters={**_SIZES, **_INTERACTION},
            requires=frozenset({"parent-task"}),
            provides=frozenset({"shared-representation"}),
        ),
        BackboneInfo(
            name="escm2",
            target="rmtl_bench_backbones.escm2:ESCM2",
            summary="esmm, also fitted to the rows whose parent event happened, weighted by inverse propensity",
            paper="Wang et al., ESCM2: Entire Space Counterfactual Multi-Task Model, SIGIR 2022, arXiv 2204.05125",
            year=2022,
            differs="the mean of the weighted losses is over all rows, as in the paper; much code divides each factor "
            "by the number of clicks in the batch and clips it at 15. ESCM2-DR is not here",
            parameters={
                **_SIZES,
                "counterfactual_weight": Parameter(0.5, "weight of the counterfactual risk", minimum=0.0),
                "propensity_floor": Parameter(
                    0.01, "smallest propensity that is divided by", minimum=1e-6, maximum=1.0
                ),
                **_INTERACTION,
            },
            requires=frozenset({"parent-task"}),
            provides=frozenset({"shared-representation"}),
        ),
        BackboneInfo(
            name="omoe",
            target="rmtl_bench_backbones.omoe:OMoE",
            summary="experts shared by all tasks, mixed by one gate for all",
            paper="Ma et al., Multi-gate Mixture-of-Experts (its one-gate baseline), KDD 2018",
            year=2018,
            differs="the gate is linear without bias; some have one",
            parameters={**_SIZES, "experts": Parameter(8, "number of experts", minimum=1), **_INTERACTION},
            provides=_SHARED,
        ),
        BackboneInfo(
            name="mmoe",
            target="rmtl_bench_backbones.mmoe:MMoE",
            summary="experts shared by all tasks, mixed by one gate per task",
            paper="Ma et al., Multi-gate Mixture-of-Experts, KDD 2018",
            year=2018,
            differs="gates are linear without bias, as in the paper; MTReclib's have one",
            parameters={**_SIZES, "experts": Parameter(8, "number of experts", minimum=1), **_INTERACTION},
            provides=_SHARED,
        ),
        BackboneInfo(
            name="cgc",
            target="rmtl_bench_backbones.cgc:CGC",
            summary="one level of shared experts and of each task's own, every expert a whole network",
            paper="Tang et al., Progressive Layered Extraction (Customized Gate Control), RecSys 2020",
            year=2020,
            differs="gates are linear without bias, as in the paper; experts have all the layers of 'bottom', where "
            "the paper's have one",
            parameters={
                **_SIZES,
                "shared_experts": Parameter(4, "number of shared experts", minimum=1),
                "task_experts": Parameter(4, "number of each task's own experts", minimum=1),
                **_INTERACTION,
            },
            provides=_SHARED,
        ),
        BackboneInfo(
            name="ple",
            target="rmtl_bench_backbones.ple:PLE",
            summary="levels of shared experts and of each task's own experts; one level per width in 'bottom'",
            paper="Tang et al., Progressive Layered Extraction, RecSys 2020",
            year=2020,
            differs="each expert sees its own branch's representation, as in the paper; early versions of MTReclib, "
            "and RMTL's code after them, let it see that of the branch which asks",
            parameters={
                **_SIZES,
                "shared_experts": Parameter(4, "number of shared experts of each level", minimum=1),
                "task_experts": Parameter(4, "number of each task's own experts of each level", minimum=1),
                **_INTERACTION,
            },
            provides=_SHARED,
        ),
        BackboneInfo(
            name="dselect-k",
            target="rmtl_bench_backbones.dselect_k:DSelectK",
            summary="experts shared by all tasks, of which each task's gate comes to select at most k",
            paper="Hazimeh et al., DSelect-k, NeurIPS 2021, arXiv 2106.03760",
            year=2021,
            differs="gates that look at the row are linear without bias, and the penalty is a mean over rows; the "
            "authors' code has a bias and sums over the rows of a batch",
            parameters={
                **_SIZES,
                "experts": Parameter(8, "number of experts", minimum=1),
                "selected": Parameter(2, "number k of experts that a task may use in the end", minimum=1),
                "gamma": Parameter(1.0, "width of the part of the smooth step that is not flat", minimum=1e-3),
                "per_example": Parameter(False, "gates look at the row; else a task has the same experts for all rows"),
                "entropy": Parameter(0.01, "weight of the selectors' entropy, which makes them select", minimum=0.0),
                **_INTERACTION,
            },
            provides=_SHARED,
        ),
        BackboneInfo(
            name="aitm",
            target="rmtl_bench_backbones.aitm:AITM",
            summary="shared embeddings; a task hands what it has learned to its children through an attention, and a "
            "child likelier than its parent is penalised",
            paper="Xi et al., Adaptive Information Transfer Multi-task, KDD 2021, arXiv 2105.08489",
            year=2021,
            differs="a task may have several children, where the paper has one chain; one attention for all pairs, "
            "as in the authors' code, where others have one per pair; no batch normalisation",
            parameters={
                **_SIZES,
                "calibrator": Parameter(0.6, "weight of the penalty on children likelier than parents", minimum=0.0),
                **_INTERACTION,
            },
            requires=frozenset({"parent-task"}),
            provides=frozenset({"shared-representation"}),
        ),
        BackboneInfo(
            name="adatt",
            target="rmtl_bench_backbones.adatt:AdaTT",
            summary="levels of experts of each task and of shared ones; a task's gate sees them all, and its own are "
            "added; one level per width in 'bottom'",
            paper="Li et al., AdaTT: Adaptive Task-to-Task Fusion Network, KDD 2023, arXiv 2304.04959",
            year=2023,
            differs="the general form of the paper, and AdaTT-sp with no shared experts; gates have no bias, where "
            "the authors' have one",
            parameters={
                **_SIZES,
                "shared_experts": Parameter(4, "number of shared experts of each level; 0: AdaTT-sp", minimum=0),
                "task_experts": Parameter(4, "number of each task's own experts of each level", minimum=1),
                **_INTERACTION,
            },
            provides=_SHARED,
        ),
        BackboneInfo(
            name="stem",
            target="rmtl_bench_backbones.stem:STEM",
            summary="one embedding table per task and a shared one; a task's gate sees all experts, but teaches only "
            "its own and the shared ones",
            paper="Su et al., STEM: Unleashing the Power of Embeddings for Multi-task Recommendation, AAAI 2024, "
            "arXiv 2308.13537",
            year=2024,
            differs="gates are linear, where the authors' have hidden layers; one level of experts",
            parameters={
                **_SIZES,
                "shared_experts": Parameter(4, "number of shared experts", minimum=1),
                "task_experts": Parameter(4, "number of each task's own experts", minimum=1),
            },
            provides=_SHARED,
        ),
        BackboneInfo(
            name="home",
            target="rmtl_bench_backbones.home:HoME",
            summary="experts of all tasks, of groups of tasks and of one task on two levels, batch-normalised, with "
            "gates on their inputs",
            paper="HoME: Hierarchy of Multi-Gate Experts for Multi-Task Learning at Kuaishou, 2024, arXiv 2408.05430",
            year=2024,
            differs="one low-rank feature gate per expert, where the paper mixes several; which experts the gates of "
            "each level see is one reading of the paper; an expert's output is normalised, its hidden layers are not; "
            "a batch of one row is normalised with running statistics",
            parameters={
                **_SIZES,
                "groups": Parameter(
                    (), "the group of each task, one number per task; empty: one group per funnel", "ints", minimum=0
                ),
                "shared_experts": Parameter(2, "number of shared experts of each level", minimum=1),
                "group_experts": Parameter(2, "number of each group's experts of each level", minimum=1),
                "task_experts": Parameter(2, "number of each task's own experts of the second level", minimum=1),
                "rank": Parameter(16, "rank of the gates on the experts' inputs", minimum=1),
                **_INTERACTION,
            },
            provides=_SHARED,
        ),
    ]
