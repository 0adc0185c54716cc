from __future__ import annotations

import duckdb
import pytest

from rmtl_bench.contracts.cell import EpochRecord
from rmtl_bench_observers.facts import measured_of, plain, values_of


def test_names_are_made_plain():
    assert [plain(name) for name in ("long-view", "a b/c", "../up", "naïve", "")] == [
        "long-view",
        "a_b_c",
        "_up",
        "na_ve",
        "_",
    ]


def test_an_epoch_is_told_without_what_no_chart_can_show():
    record = EpochRecord("fine-tune", 2, 1.5, {"click": 0.25, "pay": float("inf")}, 0.75, {("click", "auc"): 0.5})
    assert values_of(record) == {
        "fine-tune/score": 0.75,
        "fine-tune/seconds": 1.5,
        "fine-tune/loss/click": 0.25,
        "fine-tune/auc/click": 0.5,
    }


@pytest.mark.parametrize(("attempts", "expected"), [([], {}), (["", ".2", ".10"], {"test/auc/click": 0.7})])
def test_the_latest_attempt_of_a_run_counts(tmp_path, attempts, expected):
    for number, attempt in enumerate(attempts):
        folder = tmp_path / "runs" / f"0123456789abcdef{attempt}"
        folder.mkdir(parents=True)
        row = f"SELECT 'click' AS task, 'auc' AS metric, {0.5 + number / 10}::DOUBLE AS value"
        duckdb.sql(f"COPY ({row} UNION ALL SELECT 'pay', 'auc', 'nan'::DOUBLE) TO '{folder / 'metrics.parquet'}'")
    assert measured_of(tmp_path, "0123456789abcdef") == pytest.approx(expected)
