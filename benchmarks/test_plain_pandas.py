"""The plain pandas preparation, which ours is measured against, gives the same arrays on small synthetic files."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.plain_pandas import kuairand as pandas_kuairand
from benchmarks.plain_pandas import retailrocket as pandas_retailrocket
from benchmarks.raw_files import kuairand, retailrocket
from rmtl_bench_datasets.kuairand import KuaiRand1K
from rmtl_bench_datasets.retailrocket import RetailRocket

CASES = {
    "retailrocket": (retailrocket.write, pandas_retailrocket.prepare, RetailRocket),
    "kuairand-1k": (kuairand.write, pandas_kuairand.prepare, KuaiRand1K),
}


@pytest.mark.parametrize("name", CASES)
def test_plain_pandas_gives_the_same_arrays(tmp_path, name):
    write, prepare, dataset = CASES[name]
    write(tmp_path, 0.004)
    ours, theirs = dataset().build(tmp_path, tmp_path), prepare(tmp_path)
    assert ours.split_sizes == theirs["split_sizes"]
    for array in ("categorical", "labels", "session", "user", "timestamp", "session_end"):
        np.testing.assert_array_equal(getattr(ours, array), theirs[array], array)
    np.testing.assert_allclose(ours.numerical, theirs["numerical"], rtol=0, atol=1e-6)
    assert 0.005 < ours.labels[:, 1].mean() <= ours.labels[:, 0].mean() < 0.6
    assert (ours.categorical > 0).any(axis=0).all()


@pytest.mark.parametrize("name", CASES)
def test_same_seed_gives_same_files(tmp_path, name):
    write = CASES[name][0]
    first, again, other = (write(tmp_path / key, 0.0005, seed=len(key) // 2) for key in ("a", "b", "other"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert [path.read_bytes() for path in first] != [path.read_bytes() for path in other]
