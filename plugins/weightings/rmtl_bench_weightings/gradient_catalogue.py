"""The descriptions of the gradient weightings; imports no torch."""

from __future__ import annotations

from rmtl_bench import Parameter, WeightingInfo, scope_parameter

_ONE_EACH = "one backward pass a task on the scope, one for the rest"


def _gradient(
    name: str,
    target: str,
    summary: str,
    paper: str,
    year: int,
    differs: str = "",
    *,
    cost: str = _ONE_EACH,
    representation: bool = True,
    **parameters: Parameter,
) -> WeightingInfo:
    """Describe one; ``representation``: whether its scope may be the shared representation."""
    return WeightingInfo(
        name=name,
        target=f"rmtl_bench_weightings.{target}",
        summary=summary,
        paper=paper,
        year=year,
        differs=differs,
        form="gradient",
        cost=cost,
        parameters={**parameters, "scope": scope_parameter(representation=representation)},
    )


THROUGH_TORCHJD = [
    _gradient(
        "mgda",
        "mgda:MinimumNorm",
        "the shortest vector in the convex hull of the tasks' gradients",
        "Désidéri, Multiple-gradient descent algorithm, C. R. Mathématique 350, 2012; Sener and Koltun, Multi-Task "
        "Learning as Multi-Objective Optimization, NeurIPS 2018, arXiv 1810.04650",
        2018,
        "Closed form at two tasks; torchjd's Frank-Wolfe solver, which stops early, from three on.",
    ),
    _gradient(
        "pcgrad",
        "pcgrad:ProjectedGradients",
        "each gradient loses what conflicts with another task's, one task after another in random order",
        "Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, arXiv 2001.06782",
        2020,
        "Some projections use the other task's already projected gradient; the paper's, and these, the original one.",
    ),
    _gradient(
        "gradvac",
        "gradvac:GradientVaccine",
        "gradients are turned towards each other up to the similarity they usually have",
        "Wang et al., Gradient Vaccine, ICLR 2021, arXiv 2010.05874",
        2021,
        "Cosines of the whole scope, as in LibMTL; the paper takes them by groups of parameters, with beta = 0.01.",
        decay=Parameter(0.5, "beta, the share of the new cosine in its moving average", minimum=0.0, maximum=1.0),
    ),
    _gradient(
        "cagrad",
        "cagrad:ConflictAverse",
        "the direction near the mean gradient that is best for the worst-off task",
        "Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS 2021, arXiv 2110.14048",
        2021,
        "Not through torchjd, which needs cvxpy: closed form at two tasks, scipy's SLSQP from three on, as the authors "
        "have it. The authors and LibMTL divide by 1 + c^2 or 1 + c; torchjd does not.",
        c=Parameter(0.5, "radius around the mean gradient, relative to its length", minimum=0.0, maximum=100.0),
        rescale=Parameter(False, "whether to divide the direction by 1 + c^2"),
    ),
    _gradient(
        "nash-mtl",
        "nash_mtl:NashBargaining",
        "the bargaining solution: every task's relative gain counts the same",
        "Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, arXiv 2202.01017",
        2022,
        "Closed form at two tasks, scipy's least squares through torchjd's FairGrad at alpha = 1 from three on. The "
        "authors' code, LibMTL and torchjd's NashMTL solve convex programs with cvxpy and ECOS, stop early and clip "
        "the direction to length 1.",
    ),
    _gradient(
        "imtl-g",
        "imtl_g:ImpartialGradients",
        "a direction with the same projection on every task's unit gradient",
        "Liu et al., Towards Impartial Multi-task Learning, ICLR 2021",
        2021,
        "The paper takes the gradients on the shared representation; choose scope = representation for that.",
    ),
    _gradient(
        "aligned-mtl",
        "aligned_mtl:AlignedComponents",
        "the principal components of the gradients are brought to one size",
        "Senushkin et al., Independent Component Alignment for Multi-Task Learning, CVPR 2023, arXiv 2305.19000",
        2023,
        "Weights of 1/K at the start, as torchjd; LibMTL has 1. The authors' code scales by the mean eigenvalue.",
        scale=Parameter("min", "the eigenvalue all others are brought to", choices=("min", "median", "rmse")),
    ),
    _gradient(
        "fairgrad",
        "fairgrad:FairGradients",
        "a direction that is alpha-fair to the tasks",
        "Ban and Ji, Fair Resource Allocation in Multi-Task Learning, ICML 2024, arXiv 2402.15638",
        2024,
        "torchjd's solver is given the Gramian scaled to unit length, without which it does not converge for small "
        "gradients; the solution is scaled back exactly.",
        alpha=Parameter(2.0, "fairness: 1 is Nash-MTL, towards infinity the worst-off counts", minimum=0.1, maximum=50),
    ),
    _gradient(
        "upgrad",
        "upgrad:UnconflictingProjection",
        "the mean of the gradients, each projected to conflict with none",
        "Quinton and Rey, Jacobian Descent for Multi-Objective Optimization, 2024, arXiv 2406.16232",
        2024,
        "torchjd's regularisation, but solved with scipy instead of quadprog, and for gradients however small.",
    ),
    _gradient(
        "dualproj",
        "dualproj:DualProjection",
        "the mean gradient, projected to conflict with none",
        "after Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS 2017, arXiv 1706.08840",
        2017,
        "torchjd's regularisation, but solved with scipy instead of quadprog, and for gradients however small.",
    ),
    _gradient(
        "config",
        "config:ConflictFree",
        "a direction that makes the same angle with every gradient",
        "Liu, Chu and Thuerey, ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks, ICLR 2025, "
        "arXiv 2408.11104",
        2025,
        "torchjd is asked in the K dimensions of the gradients' span; the same direction, and weights to report.",
    ),
    _gradient(
        "graddrop",
        "graddrop:SignDropout",
        "element by element, gradients of one sign are kept at random",
        "Chen et al., Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout, NeurIPS 2020, "
        "arXiv 2010.06808",
        2020,
        "The paper drops gradients on activations, summed over the batch; torchjd drops those it is given.",
        leak=Parameter(0.0, "the share of a dropped gradient that leaks through", minimum=0.0, maximum=1.0),
    ),
    _gradient(
        "excess-mtl",
        "excess_mtl:ExcessRisk",
        "more weight for tasks that seem farther from their own optimum",
        "He et al., Robust Multi-Task Learning with Excess Risks, ICML 2024, arXiv 2402.02009",
        2024,
        "Weights of 1/K at the start, as the paper and torchjd; the authors' code and LibMTL start at 1.",
        cost=_ONE_EACH + "; state of K times the scope",
        representation=False,
        step_size=Parameter(1.0, "eta, step size of the exponentiated gradient", minimum=1e-6, maximum=1e3),
        warm_up=Parameter(0, "steps of even weights from which the first excess risk is taken", minimum=0),
    ),
    _gradient(
        "sdmgrad",
        "sdmgrad:DirectionOriented",
        "the shortest vector, held to the mean direction, from two halves of the batch",
        "Xiao, Ban and Ji, Direction-oriented Multi-objective Learning, NeurIPS 2023, arXiv 2305.18409",
        2023,
        "The paper and LibMTL draw three batches a step; here two halves of one give the weights, both the direction.",
        cost="as one backward pass a task, on half the rows twice, and one of the whole",
        representation=False,
        pull=Parameter(0.3, "lambda, the pull of the mean direction", minimum=0.0, maximum=100.0),
        steps=Parameter(20, "projected gradient steps of the inner problem", minimum=1, maximum=1000),
    ),
    _gradient(
        "modo",
        "modo:DoubleSampled",
        "a slow min-norm direction whose Gramian comes from two halves of the batch",
        "Chen et al., Three-Way Trade-Off in Multi-Objective Learning, NeurIPS 2023 and JMLR 2024, arXiv 2305.20057",
        2023,
        "The paper and LibMTL draw two or three batches a step; here they are halves of one.",
        cost="as one backward pass a task, on half the rows twice, and one of the whole",
        representation=False,
        step_size=Parameter(0.1, "gamma, step size of the weights", minimum=1e-6, maximum=100.0),
        ridge=Parameter(0.1, "rho, pulls the weights towards even ones", minimum=0.0, maximum=100.0),
    ),
]
