from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra 'torch' is not installed")

from rmtl_bench.metrics import on_device, probability, ranking  # noqa: E402

NAMES = ("auc", "gauc", "logloss", "session_logloss")
WITH_GROUPS = ("gauc", "session_logloss")
EXPECTED = {
    "auc": ranking.auc,
    "gauc": ranking.gauc,
    "logloss": probability.logloss,
    "session_logloss": probability.session_logloss,
}
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])])
def device(request):
    return request.param


def found(name, device, labels, scores, groups, known):
    """The metric of arrays, computed on the device."""
    tensors = [torch.from_numpy(a).to(device) for a in (labels, scores, *((groups,) if name in WITH_GROUPS else ()))]
    mask = None if known is None else torch.from_numpy(known).to(device)
    value = getattr(on_device, name)(*tensors, known=mask)
    assert value.dtype == torch.float64
    assert value.device.type == device
    return value.cpu().numpy()


def expected(name, predictions, labels, scores, groups, known):
    """The same of numpy, one seed and task after the other."""
    value = np.empty((scores.shape[0], scores.shape[2]))
    for s, k in np.ndindex(value.shape):
        rows = slice(None) if known is None else known[:, k]
        one = predictions(labels[rows, k], scores[s, rows, k], user=groups[rows], session=groups[rows])
        value[s, k] = EXPECTED[name](one)
    return value


def columns_of(rows):
    """Labels [N, 2], scores [3, N, 2], groups [N] and which labels are known [N, 2]."""
    labels, scores, groups, known = ([row[i] for row in rows] for i in range(4))
    shaped = np.array(scores, dtype=np.float64).reshape(len(rows), 3, 2).swapaxes(0, 1)
    return (
        np.array(labels, dtype=np.float32).reshape(len(rows), 2),
        np.ascontiguousarray(shaped) / 4,
        np.array(groups, dtype=np.int64),
        np.array(known, dtype=bool).reshape(len(rows), 2),
    )


# Few distinct scores and groups, so that ties and shared groups are the rule.
ROWS = st.lists(
    st.tuples(
        st.tuples(st.booleans(), st.booleans()),
        st.lists(st.integers(0, 4), min_size=6, max_size=6),
        st.sampled_from([-(2**63), -1, 0, 3, 2**40]),
        st.tuples(st.booleans(), st.booleans()),
    ),
    max_size=30,
)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(rows=ROWS, masked=st.booleans())
def test_every_seed_and_task_has_the_metric_of_its_predictions(name, device, predictions, rows, masked):
    labels, scores, groups, known = columns_of(rows)
    columns = labels, scores, groups, known if masked else None
    value = found(name, device, *columns)
    np.testing.assert_allclose(value, expected(name, predictions, *columns), rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def many():
    """5,000 rows of 90 groups with scores of two seeds, few of which are equal."""
    rng = np.random.default_rng(2)
    scores = np.round(rng.beta(2, 5, (2, 5000, 2)), 4).astype(np.float32)
    labels = (rng.random((5000, 2)) < scores[0]).astype(np.float32)
    return labels, scores, rng.integers(90, size=5000).astype(np.int32), rng.random((5000, 2)) < 0.7


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("masked", [True, False], ids=["some labels known", "all labels known"])
def test_many_rows_have_the_metric_of_their_predictions(name, device, predictions, many, masked):
    columns = (*many[:3], many[3] if masked else None)
    value = found(name, device, *columns)
    np.testing.assert_allclose(value, expected(name, predictions, *columns), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_needs_no_dimension(name, device, many):
    labels, scores, groups, known = many
    both = found(name, device, labels, scores, groups, known)
    alone = found(name, device, labels, scores[1], groups, known)
    np.testing.assert_allclose(alone, both[1], rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", ["auc", "gauc"])
def test_seeds_ranked_one_by_one_to_save_memory_give_the_same(name, device, many, monkeypatch):
    together = found(name, device, *many)
    monkeypatch.setattr(on_device, "SCORES_AT_ONCE", 100)
    np.testing.assert_array_equal(found(name, device, *many), together)


@pytest.mark.parametrize("name", NAMES)
def test_a_score_that_is_none_undoes_its_task_alone_and_only_where_the_label_is_known(name, device, many):
    labels, scores, groups, known = many
    right = found(name, device, labels, scores, groups, known)
    holed = scores.copy()
    holed[0, np.flatnonzero(~known[:, 0])[:3], 0] = np.nan
    np.testing.assert_allclose(found(name, device, labels, holed, groups, known), right, rtol=0, atol=1e-15)
    holed[1, np.flatnonzero(known[:, 1])[5], 1] = np.nan
    undefined = np.isnan(found(name, device, labels, holed, groups, known))
    np.testing.assert_array_equal(undefined, [[False, False], [False, True]])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seeds", [(), (3,)])
def test_the_shapes_depend_on_no_value(name, seeds):
    """Tensors without any data suffice to run every step, so none waits for the device to learn a size."""
    labels, scores = torch.empty(7, 2, device="meta"), torch.empty(*seeds, 7, 2, device="meta")
    groups = (torch.empty(7, device="meta", dtype=torch.int64),) if name in WITH_GROUPS else ()
    known = torch.empty(7, 2, device="meta", dtype=torch.bool)
    for mask in (known, None):
        assert getattr(on_device, name)(labels, scores, *groups, known=mask).shape == (*seeds, 2)


@pytest.mark.gpu
@NO_CUDA
@pytest.mark.parametrize("name", NAMES)
def test_nothing_waits_for_the_gpu(name, many):
    labels, scores, groups, known = (torch.from_numpy(column).cuda() for column in many)
    metric = getattr(on_device, name)
    metric(labels, scores, *((groups,) if name in WITH_GROUPS else ()), known=known)
    torch.cuda.set_sync_debug_mode("error")
    try:
        metric(labels, scores, *((groups,) if name in WITH_GROUPS else ()), known=known)
    finally:
        torch.cuda.set_sync_debug_mode("default")
