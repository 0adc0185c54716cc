from __future__ import annotations

import json

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.profiles import RunProfile, in_order, read_profile, write_profile

PROFILE = RunProfile({"forward": 1.5, "harness": 0.5}, {"forward": 3}, 4, "cuda:0", {"train": 20}, "it broke")


def test_a_profile_reads_back_as_itself(tmp_path):
    write_profile(tmp_path, PROFILE)
    assert read_profile(tmp_path) == PROFILE
    assert json.loads((tmp_path / "profile.json").read_text())["total"] == PROFILE.total == 2.0


def test_a_run_without_a_profile_has_none(tmp_path):
    assert read_profile(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 2}', '{"format": 1, "seconds": 3}'])
def test_a_broken_profile_names_its_file(tmp_path, text):
    (tmp_path / "profile.json").write_text(text)
    with pytest.raises(StoreError, match=r"profile\.json"):
        read_profile(tmp_path)


def test_parts_come_in_the_order_of_a_run_and_a_plugins_own_before_the_rest():
    parts = ["harness", "sorting", "evaluation", "backward", "data", "replay"]
    assert in_order(dict.fromkeys(parts)) == ["data", "backward", "evaluation", "replay", "sorting", "harness"]
