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


def test_what_was_measured_is_read_from_the_folder_of_the_run(tmp_path):
    rows = "SELECT 'click' AS task, 'auc' AS metric, 0.7::DOUBLE AS value UNION ALL SELECT 'pay', 'auc', 'nan'::DOUBLE"
    duckdb.sql(f"COPY ({rows}) TO '{tmp_path / 'metrics.parquet'}'")
    assert measured_of(tmp_path) == {"test/auc/click": 0.7}


@pytest.mark.parametrize("known", [True, False])
def test_a_run_without_metrics_has_none(tmp_path, known):
    assert measured_of(tmp_path if known else None) == {}
