"""The descriptions of the loss weightings and of tuned fixed weights; imports no torch."""

from __future__ import annotations

from rmtl_bench import Parameter, WeightingInfo

_ONE = "one backward pass"

CONSTANT_AND_RANDOM = [
    WeightingInfo(
        name="fixed",
        target="rmtl_bench_weightings.fixed:Fixed",
        summary="constant weights, 1 for every task unless given",
        form="loss",
        cost=_ONE,
        differs="Sums the losses, as LibMTL; MTReclib, RMTL's code and torch-rechub take their mean.",
        parameters={
            "weights": Parameter(
                (), "one weight per task, in the order of the tasks; empty: 1 for each", kind="floats", minimum=0.0
            )
        },
    ),
    WeightingInfo(
        name="fixed-tuned",
        target="rmtl_bench_weightings.fixed_tuned:FixedTuned",
        summary="constant weights, chosen on the validation split from a grid over the simplex",
        paper="Kurin et al., In Defense of the Unitary Scalarization for Deep Multi-Task Learning, NeurIPS 2022, arXiv "
        "2201.04122; Xin et al., Do Current Multi-Task Optimization Methods in Deep Learning Even Help?, NeurIPS 2022, "
        "arXiv 2209.11379",
        year=2022,
        form="staged",
        cost="a training for each candidate, within one budget of epochs",
        differs="The papers tune learning rate and regularisation, too; here the weights alone.",
        parameters={
            "candidates": Parameter(9, "points of the grid at most, even weights among them", minimum=1, maximum=1000),
            "epochs": Parameter(80, "epochs of all candidates together; each has its even share at most", minimum=1),
        },
    ),
    WeightingInfo(
        name="random",
        target="rmtl_bench_weightings.random:Random",
        summary="new random weights at every step: a baseline that many methods fail to beat",
        paper="Lin et al., Reasonable Effectiveness of Random Weighting, TMLR 2022, arXiv 2111.10603",
        year=2022,
        form="loss",
        cost=_ONE,
        differs="Drawn on the CPU from a generator of its own, the same on every device; torchjd takes the global one.",
    ),
]

LEARNED_AND_DYNAMIC = [
    WeightingInfo(
        name="uncertainty",
        target="rmtl_bench_weightings.uncertainty:Uncertainty",
        summary="each task's noise is learned, and its loss divided by it",
        paper="Kendall et al., Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018, arXiv 1705.07115",
        year=2018,
        form="loss",
        cost=_ONE,
        differs="The form for classification; LibMTL and torchjd use the one for regression (uncertainty-regression), "
        "torch-rechub keeps s from falling below 0, which caps the weights.",
        parameters={
            "initial_log_variance": Parameter(
                0.0, "logarithm of each task's variance at the start", minimum=-10.0, maximum=10.0
            )
        },
    ),
    WeightingInfo(
        name="uncertainty-regression",
        target="rmtl_bench_weightings.uncertainty_regression:UncertaintyRegression",
        summary="uncertainty weighting in the form for regression, which most libraries use for every loss",
        paper="Kendall et al., Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018, arXiv 1705.07115",
        year=2018,
        form="loss",
        cost=_ONE,
        differs="Through torchjd, s = 0 at the start; LibMTL starts at -0.5.",
    ),
    WeightingInfo(
        name="uw-so",
        target="rmtl_bench_weightings.uw_so:SoftOptimalUncertainty",
        summary="the inverse losses, at which uncertainty weighting ends, evened by a softmax",
        paper="Kirchdorfer et al., Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning, GCPR 2024, "
        "arXiv 2408.07985",
        year=2024,
        form="loss",
        cost="one backward pass",
        differs="The paper tunes T for every data set; a port to LibMTL has T = 1, at which one task gets all the "
        "weight at losses of .2 and .05.",
        parameters={
            "temperature": Parameter(
                10.0, "T, how even the weights are; high: nearly equal weights", minimum=0.01, maximum=1e6
            )
        },
    ),
    WeightingInfo(
        name="igb",
        target="rmtl_bench_weightings.igb:ImprovableGap",
        summary="logarithms of the losses, with more weight where the loss has fallen least since the first epoch",
        paper="Dai et al., Improvable Gap Balancing for Multi-Task Learning, UAI 2023, arXiv 2307.15429",
        year=2023,
        form="loss",
        cost="one backward pass",
        differs="IGB v1. The authors' code has the base epoch as an option and reports the weights of the logarithms, "
        "not of the losses.",
    ),
    WeightingInfo(
        name="dwa",
        target="rmtl_bench_weightings.dwa:DynamicWeightAverage",
        summary="tasks whose loss falls slowly get more weight, epoch by epoch",
        paper="Liu et al., End-to-End Multi-Task Learning with Attention, CVPR 2019, arXiv 1803.10704",
        year=2019,
        form="loss",
        cost=_ONE,
        differs="Mean losses over rows and a state that can be saved; torchjd has means over batches and neither.",
        parameters={
            "temperature": Parameter(
                2.0, "how even the weights are; high: nearly equal weights", minimum=0.01, maximum=1e6
            )
        },
    ),
    WeightingInfo(
        name="gls",
        target="rmtl_bench_weightings.gls:GeometricLoss",
        summary="the geometric mean of the losses",
        paper="Chennupati et al., MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for "
        "Multi-Task Learning, CVPR workshops 2019, arXiv 1904.08492",
        year=2019,
        form="loss",
        cost=_ONE,
        differs="LibMTL reports weights that are not the derivatives of the loss.",
    ),
    WeightingInfo(
        name="imtl-l",
        target="rmtl_bench_weightings.imtl_l:ImpartialLoss",
        summary="learned scales bring every loss to one size",
        paper="Liu et al., Towards Impartial Multi-task Learning, ICLR 2021",
        year=2021,
        form="loss",
        cost=_ONE,
        differs="None known; it is twice the regression form of uncertainty weighting with the sign of s turned.",
    ),
    WeightingInfo(
        name="famo",
        target="rmtl_bench_weightings.famo:FastAdaptive",
        summary="weights that make the logarithms of all losses fall at one rate",
        paper="Liu et al., FAMO: Fast Adaptive Multitask Optimization, NeurIPS 2023, arXiv 2306.03792",
        year=2023,
        form="loss",
        cost="one backward pass and a second forward pass",
        differs="The authors' class has a weight decay of .01; their copy for MTRL multiplies by c, it should divide. "
        "Here the second pass drops out the same units as the first.",
        parameters={
            "step_size": Parameter(0.025, "Adam's step size for the weights", minimum=0.0, maximum=10.0),
            "weight_decay": Parameter(0.001, "L2 penalty that evens the weights", minimum=0.0, maximum=10.0),
        },
    ),
    WeightingInfo(
        name="stch",
        target="rmtl_bench_weightings.stch:SmoothTchebycheff",
        summary="a smooth maximum of the losses",
        paper="Lin et al., Smooth Tchebycheff Scalarization, ICML 2024, arXiv 2402.19078",
        year=2024,
        form="loss",
        cost=_ONE,
        differs="LibMTL warms up on the sum of log L, then takes log(L / nadir), times K.",
        parameters={
            "smoothing": Parameter(0.1, "mu; the smaller, the closer to the maximum", minimum=1e-4, maximum=100.0)
        },
    ),
    WeightingInfo(
        name="cosmos",
        target="rmtl_bench_weightings.cosmos:CosineScalarized",
        summary="the mean loss, less the cosine between the losses and even preferences",
        paper="Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep Multi-Objective Learning, ICDM 2021, "
        "arXiv 2103.13392",
        year=2021,
        form="loss",
        cost=_ONE,
        differs="The paper conditions the model on a preference drawn for each batch; here it is even and fixed.",
        parameters={"cosine": Parameter(0.1, "lambda, weight of the cosine", minimum=0.0, maximum=100.0)},
    ),
    WeightingInfo(
        name="pbi",
        target="rmtl_bench_weightings.pbi:BoundaryIntersection",
        summary="the losses' length along even preferences, plus their distance from these",
        paper="Zhang and Li, MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition, IEEE TEC 11, 2007",
        year=2007,
        form="loss",
        cost=_ONE,
        differs="A weight becomes negative where a loss is far below the others; nothing is clipped, as in torchjd.",
        parameters={"penalty": Parameter(5.0, "theta, weight of the distance", minimum=0.0, maximum=1000.0)},
    ),
]
