"""Every weighting of this distribution, as it is installed, keeps to the contract."""

from __future__ import annotations

from typing import ClassVar

import pytest

from rmtl_bench.testing import WeightingContract
from rmtl_bench_weightings.plugin import rmtl_weightings

PARAMETERS = {"fixed-tuned": {"candidates": 3, "epochs": 6}}
APART = ("gls", "metabalance", "pbi")
NAMES = [info.name for info in rmtl_weightings() if info.name not in APART]


class TestEveryWeighting(WeightingContract):
    @pytest.fixture(params=NAMES)
    def plugin(self, request):
        return request.param, PARAMETERS.get(request.param, {})


class TestGeometricLoss(WeightingContract):
    without: ClassVar = {"extreme-losses-give-finite-numbers": "a geometric mean has no derivative where a loss is 0"}

    @pytest.fixture
    def plugin(self):
        return "gls"


class TestMetaBalance(WeightingContract):
    without: ClassVar = {"no-task-is-favoured": "the first task is the target unless another is named"}

    @pytest.fixture
    def plugin(self):
        return "metabalance"


class TestBoundaryIntersection(WeightingContract):
    without: ClassVar = {
        "learns-within-the-reference-band": "at a penalty of 5, even losses count for more than small ones"
    }

    @pytest.fixture
    def plugin(self):
        return "pbi"
