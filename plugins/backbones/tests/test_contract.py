"""Every backbone keeps to the contract, found through the entry point of this distribution."""

from __future__ import annotations

import pytest

from rmtl_bench.testing import BackboneContract
from rmtl_bench_backbones.plugin import rmtl_backbones

SMALL = {"embedding_dim": 8, "bottom": (16, 8), "tower": (4,)}


class TestEveryBackbone(BackboneContract):
    @pytest.fixture(params=[info.name for info in rmtl_backbones()])
    def plugin(self, request):
        return request.param, SMALL
