"""Projections onto the dual cone of the gradients, for UPGrad and DualProj."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor
from torchjd.linalg import DualConeProjector


class LeastSquaresProjector(DualConeProjector):
    """Solves ``min v^T G v`` subject to ``v >= u`` as non-negative least squares, with scipy.

    With G = R^T R and v = u + s it is ``min |R s + R u|``, s >= 0. torchjd's own projector needs quadprog, whose
    licence is the GPL. As there, G is divided by its trace and 1e-4 added to its diagonal, so that the numbers are the
    same; unlike there, gradients however small are projected.
    """

    regularisation = 1e-4

    def __call__(self, U: Tensor, G: Tensor) -> Tensor:  # noqa: N803 -- torchjd's names
        """Return the weights [..., m] of the projections of the vectors ``U`` [..., m], from the Gramian [m, m]."""
        gramian = (G / G.diagonal().sum()).to("cpu", torch.float64).numpy()
        root = np.linalg.cholesky(gramian + self.regularisation * np.eye(len(gramian))).T
        vectors = U.to("cpu", torch.float64).numpy()
        projected = np.apply_along_axis(lambda vector: _project(root, vector), -1, vectors)
        return torch.as_tensor(projected).to(G)


def _project(root: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    added, _ = nnls(root, -root @ vector)
    projected: NDArray[np.float64] = vector + added
    return projected
