"""Every weighting of this distribution, as it is installed, keeps to the contract."""

from __future__ import annotations

from typing import ClassVar

import pytest

from rmtl_bench.testing import WeightingContract
from rmtl_bench_rmtl.plugin import rmtl_weightings

SMALL = {"embedding_dim": 4, "bottom": [16], "tower": [8], "critic_epochs": 2, "fine_tune_epochs": 2, "epochs": 2}
# An actor that only critics train learns nothing in so few epochs.
ACTOR_CRITICS = ("ddpg", "td3-bc")
OWN_DEFAULTS = "a class stands under several names, and each has defaults of its own"
INFOS = {info.name: info for info in rmtl_weightings()}
PLAIN = ("rmtl", "rmtl-official", "ddpg")


def small(name):
    return name, {key: value for key, value in SMALL.items() if key in INFOS[name].parameters}


class TestRMTL(WeightingContract):
    @pytest.fixture(params=[name for name in PLAIN if name not in ACTOR_CRITICS])
    def plugin(self, request):
        return small(request.param)


class TestVariants(WeightingContract):
    without: ClassVar = {"parameters-are-those-of-the-constructor": OWN_DEFAULTS}

    @pytest.fixture(params=[name for name in INFOS if name not in (*PLAIN, *ACTOR_CRITICS)])
    def plugin(self, request):
        return small(request.param)


class TestActorCritics(WeightingContract):
    without: ClassVar = {"parameters-are-those-of-the-constructor": OWN_DEFAULTS}

    @pytest.fixture(params=ACTOR_CRITICS)
    def plugin(self, request):
        name, given = small(request.param)
        return name, {**given, "pre_train": True}
