"""The report shows ratios and shares, says which promises are kept, and what was not measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import report
from benchmarks.figures import report as keep_figures

LIMITS = {
    "limits": {"device": "cpu", "processor": "a processor", "threads": 2},
    "rows": [["copying", "10 GB/s", "the limit"]],
}


class _Benchmark:
    def __init__(self):
        self.extra_info = {}


def _measured(name, median, param=None, device="cpu", group="a group", **info):
    params = {"device": device}
    return {
        "name": name, "group": group, "param": param, "params": params, "extra_info": info, "stats": {"median": median}
    }  # fmt: skip


def test_ratios_are_shown_and_rates_of_a_cpu_are_not():
    info = {"samples a second": 1234.0, "ratio to a bare loop": 0.9}
    table = report.benchmark_table([_measured("test_epoch[esmm-cpu]", 1.0, "esmm-cpu", **info)])
    assert "epoch: esmm-cpu" in table
    assert "0.90" in table
    assert "1,234" not in table


def test_rates_of_a_gpu_are_shown():
    table = report.benchmark_table(
        [_measured("test_epoch[esmm-cuda]", 1.0, device="cuda", **{"samples a second": 1234.0})]
    )
    assert "1,234" in table


def test_times_without_a_ratio_are_multiples_of_the_least():
    table = report.benchmark_table([_measured("test_one", 0.5), _measured("test_other", 1.25)])
    assert "1.00" in table
    assert "2.50" in table


def test_times_stand_beside_ratios_where_only_some_have_one():
    rows = [_measured("test_one", 0.5, **{"ratio to a loop": 0.9}), _measured("test_other", 1.25)]
    head, _, one, other = report.benchmark_table(rows).splitlines()
    assert [cell.strip() for cell in head.split("|")] == ["", "", "ratio to a loop", "time", ""]
    assert [cell.strip() for cell in one.split("|")] == ["", "one", "0.90", "1.00", ""]
    assert [cell.strip() for cell in other.split("|")] == ["", "other", "", "2.50", ""]


def test_every_benchmark_belongs_to_a_group():
    plain = {"matrix_products", "plain_pandas", "report"}
    there = {path.stem.removeprefix("test_") for path in (report.ROOT / "benchmarks").glob("test_*.py")}
    assert there - plain <= {name for _, names in report.GROUPS.values() for name in names}


@pytest.mark.parametrize(("value", "word"), [(0.9, "promised"), (0.8, "missed")])
def test_a_promise_stands_beside_its_figure(value, word):
    info = {"ratio to a bare loop": value, "at least ratio to a bare loop": 0.85}
    table = report.benchmark_table([_measured("test_epoch", 1.0, **info)])
    assert f"{value:.2f} (" in table
    assert word in table
    assert "at least 0.85" in table


def test_a_figure_that_misses_its_promise_is_kept_and_fails():
    benchmark = _Benchmark()
    with pytest.raises(AssertionError, match=r"ratio is 0\.5, promised at least 0\.85"):
        keep_figures(benchmark, "esmm", {"ratio": 0.5}, at_least={"ratio": 0.85})
    assert benchmark.extra_info == {"ratio": 0.5, "at least ratio": 0.85}


def test_the_page_says_what_was_not_measured_and_what_failed(tmp_path):
    (tmp_path / "limits-cpu.json").write_text(json.dumps(LIMITS))
    (tmp_path / "step.json").write_text(json.dumps({"benchmarks": [_measured("test_backbone", 1.0)]}))
    (tmp_path / "step.txt").write_text("FAILED benchmarks/test_training_step.py::test_backbone\n1 failed\n")
    page = report.page(tmp_path, ["step"], 2, "python -m benchmarks.report --groups step")
    assert "a processor" in page
    assert "### A group" in page
    assert "python -m pytest benchmarks/test_training_step.py --benchmark-only -s --threads 2" in page
    assert "Anything on a GPU" in page
    assert "Groups: training, precision, weightings" in page
    assert "`FAILED benchmarks/test_training_step.py::test_backbone`" in page


def test_a_group_whose_figures_are_there_is_not_run_again(tmp_path):
    (tmp_path / "step.json").write_text("{}")
    report.measure_group("step", 2, tmp_path, run=lambda command: pytest.fail("was run"))


def test_a_run_that_is_cut_short_leaves_no_figures(tmp_path):
    report.measure_group("step", 2, tmp_path, run=lambda command: "interrupted")
    assert [path.name for path in tmp_path.iterdir()] == ["step.txt"]
