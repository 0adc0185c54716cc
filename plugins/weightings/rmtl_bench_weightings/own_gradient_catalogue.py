"""The descriptions of the gradient weightings that no library has; imports no torch."""

from __future__ import annotations

from rmtl_bench import Parameter, WeightingInfo, scope_parameter

OWN = [
    WeightingInfo(
        name="gradnorm",
        target="rmtl_bench_weightings.gradnorm:GradientNormalization",
        summary="weights trained until tasks that have come down less have the longer gradients",
        paper="Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks, "
        "ICML 2018, arXiv 1711.02257",
        year=2018,
        differs="The paper takes the last shared layer; scope = representation is nearest to it. LibMTL trains the "
        "logits of a softmax, from the second epoch on.",
        form="gradient",
        cost="one backward pass a task on the scope, one for the rest",
        parameters={
            "alpha": Parameter(1.5, "how much slower tasks are favoured", minimum=0.0, maximum=10.0),
            "learning_rate": Parameter(0.025, "Adam's step size for the weights", minimum=0.0, maximum=10.0),
            "scope": scope_parameter(),
        },
    ),
    WeightingInfo(
        name="db-mtl",
        target="rmtl_bench_weightings.db_mtl:DualBalancing",
        summary="logarithms of the losses, averaged gradients, all as long as the longest",
        paper="Lin et al., Dual-Balancing for Multi-Task Learning, 2023, arXiv 2308.12029",
        year=2023,
        differs="beta falls with the step, one of the six settings that the paper searches; LibMTL's settings hold it "
        "at .9. What lies outside the scope is scaled as the scope is.",
        form="gradient",
        cost="one backward pass a task on the scope, one for the rest; state of K times the scope",
        parameters={
            "beta": Parameter(
                0.9, "memory of the averaged gradients at the first step; 0: none", minimum=0.0, maximum=0.999
            ),
            "beta_decay": Parameter(0.5, "power of the step by which beta is divided", minimum=0.0, maximum=10.0),
            "scope": scope_parameter(representation=False),
        },
    ),
    WeightingInfo(
        name="metabalance",
        target="rmtl_bench_weightings.metabalance:MetaBalance",
        summary="auxiliary tasks' gradients are brought near to the target task's in length, tensor by tensor",
        paper="He et al., MetaBalance: Improving Multi-Task Recommendations via Adapting Gradient Magnitudes of "
        "Auxiliary Tasks, WWW 2022, arXiv 2203.06801",
        year=2022,
        differs="A task without a label keeps its averages; the authors' code counts a length of 0, and divides by 0 "
        "on tensors that a task does not reach.",
        form="gradient",
        cost="one backward pass a task on the scope, one for the rest",
        parameters={
            "target": Parameter("", "name of the task the others help; empty: the first"),
            "beta": Parameter(0.9, "memory of the average lengths; 0: none", minimum=0.0, maximum=0.9999),
            "relax": Parameter(
                0.7, "r; 1: every gradient gets the target's length, 0: its own", minimum=0.0, maximum=1.0
            ),
            "scope": scope_parameter(),
        },
    ),
    WeightingInfo(
        name="gradcraft",
        target="rmtl_bench_weightings.gradcraft:GradientCrafting",
        summary="gradients nearer to one length, each freed of all its conflicts at once",
        paper="Bai et al., GradCraft: Elevating Multi-task Recommendations through Holistic Gradient Crafting, "
        "KDD 2024, arXiv 2407.19682",
        year=2024,
        differs="Adds the crafted gradients, of which the authors' code takes the mean; that averages no lengths "
        "(beta = 0).",
        form="gradient",
        cost="one backward pass a task on the scope, one for the rest",
        parameters={
            "beta": Parameter(0.9, "memory of the average lengths; 0: none", minimum=0.0, maximum=0.9999),
            "relax": Parameter(
                0.1, "r; 1: every gradient gets the largest length, 0: its own", minimum=0.0, maximum=1.0
            ),
            "margin": Parameter(
                1e-10, "eps, product with the unit gradients in conflict, by own length", minimum=0.0, maximum=1.0
            ),
            "scope": scope_parameter(),
        },
    ),
    WeightingInfo(
        name="adatask",
        target="rmtl_bench_weightings.adatask:TaskwiseAdam",
        summary="every task has Adam's moments of its own, and the tasks' steps are added",
        paper="Yang et al., AdaTask: A Task-Aware Adaptive Learning Rate Approach to Multi-Task Learning, AAAI 2023, "
        "arXiv 2211.15055",
        year=2023,
        differs="The form with Adam. A task without a label rests; the trainer's weight decay is outside the moments; "
        "the authors' code has none.",
        form="gradient",
        cost="one backward pass a task on the scope, one for the rest; state of 2 K times the scope",
        parameters={
            "beta1": Parameter(0.9, "memory of each task's mean gradient", minimum=0.0, maximum=0.9999),
            "beta2": Parameter(0.999, "memory of each task's mean squared gradient", minimum=0.0, maximum=0.999999),
            "epsilon": Parameter(1e-8, "added to what a step is divided by", minimum=1e-16, maximum=1.0),
            "scope": scope_parameter(representation=False),
        },
    ),
    WeightingInfo(
        name="pe-ltr",
        target="rmtl_bench_weightings.pe_ltr:ParetoEfficient",
        summary="the shortest weighted sum of the gradients in which every task has a least weight",
        paper="Lin et al., A Pareto-Efficient Algorithm for Multiple Objective Optimization in E-Commerce "
        "Recommendation, RecSys 2019",
        year=2019,
        differs="One bound for all tasks. TorchEasyRec takes the gradients on all parameters, one bound a task, and "
        "projects by SLSQP.",
        form="gradient",
        cost="one backward pass a task on the scope, one for the rest",
        parameters={
            "least": Parameter(0.1, "c, the least weight of each task; 1/K at most", minimum=0.0, maximum=1.0),
            "scope": scope_parameter(),
        },
    ),
    WeightingInfo(
        name="moco",
        target="rmtl_bench_weightings.moco:GradientCorrection",
        summary="the shortest direction, from averaged gradients and weights that move slowly",
        paper="Fernando et al., Mitigating Gradient Bias in Multi-objective Learning: A Provably Convergent Approach, "
        "ICLR 2023, arXiv 2210.12624",
        year=2023,
        differs="LibMTL, whose step sizes these are, replaces each gradient by its unit vector times the loss, and the "
        "projection by a softmax.",
        form="gradient",
        cost="one backward pass a task on the scope, one for the rest; state of K times the scope",
        parameters={
            "beta": Parameter(0.5, "step size of the averaged gradients", minimum=0.0, maximum=1.0),
            "beta_decay": Parameter(0.5, "power of the step by which beta is divided", minimum=0.0, maximum=10.0),
            "gamma": Parameter(0.1, "step size of the weights", minimum=0.0, maximum=1e6),
            "gamma_decay": Parameter(0.5, "power of the step by which gamma is divided", minimum=0.0, maximum=10.0),
            "rho": Parameter(0.0, "pulls the weights towards even ones", minimum=0.0, maximum=100.0),
            "scope": scope_parameter(representation=False),
        },
    ),
]
