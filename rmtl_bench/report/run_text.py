"""One run as text for a terminal: facts, scores, curves, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.wording import duration, printable
from rmtl_bench.report.document import DASH, number
from rmtl_bench.report.profile_text import profile_lines
from rmtl_bench.report.run_curves import curves, diagnostics, weight_curves
from rmtl_bench.report.run_view import RunView
from rmtl_bench.report.terminal import INDENT, filled, heading, table

_KEY_WIDTH = 12
_ORDER = ("load", "train", "evaluate", "valid", "test")
_NAMED_DISTRIBUTIONS = ("rmtl-bench", "torch", "numpy", "scipy", "pandas", "duckdb")


def run_text(view: RunView, width: int, blocks: bool = True) -> str:
    """Return everything of a run in lines of about ``width``; ``blocks``: draw curves with block characters."""
    parts = [
        *_head(view, width),
        *_cell(view, width),
        *_stages(view),
        *(profile_lines(view.profile) if view.profile else ()),
        *_metrics(view),
        *curves(view.tables["history"], blocks),
        *weight_curves(view.tables["weights"], blocks),
        *diagnostics(view.tables["diagnostics"], blocks),
        *_warnings(view, width),
        *_environment(view, width),
        *_attempts(view, width),
        *_again(view),
        *_traceback(view),
    ]
    return "\n".join(parts)


def _head(view: RunView, width: int) -> Iterable[str]:
    record, facts = view.record, view.record.facts
    yield printable(record.cell.label)
    phases = ", ".join(f"{phase} {_seconds(taken)}" for phase, taken in _in_order(record.seconds))
    yield from _fact("run", f"{record.run_id}, attempt {view.folder.attempt}", width)
    yield from _fact("ended", f"{record.status}, {_time(record.finished)}", width)
    yield from _fact("started", _time(record.started), width)
    yield from _fact("took", phases, width)
    if isinstance(kept := facts.get("kept_epoch"), Mapping):
        text = ", ".join(f"{key} {_value(value)}" for key, value in kept.items())
        yield from _fact("tested", f"the state after {text}", width)
    suites = ", ".join(plan.name for plan, _ in view.plans) or "no suite of this store has it"
    yield from _fact("suite", suites, width)
    yield from _fact("folder", str(view.folder.path), width)


def _cell(view: RunView, width: int) -> Iterable[str]:
    cell, facts = view.record.cell, view.record.facts
    yield from heading("cell")
    yield from _fact("data set", f"{_component(cell.dataset)}; fingerprint {cell.fingerprint}", width)
    if isinstance(rows := facts.get("rows"), Mapping):
        yield from _fact("rows", ", ".join(f"{split} {_value(count)}" for split, count in _in_order(rows)), width)
    size = f"; {facts['parameters']:,} parameters" if isinstance(facts.get("parameters"), int) else ""
    yield from _fact("backbone", _component(cell.backbone) + size, width)
    yield from _fact("weighting", _component(cell.weighting), width)
    yield from _fact("trainer", _pairs(cell.trainer), width)
    yield from _fact("metrics", ", ".join(cell.metrics), width)
    yield from _fact("seed", str(cell.seed), width)
    if cell.source:
        yield from _fact("builds on", cell.source, width)


def _stages(view: RunView) -> Iterable[str]:
    stages = view.record.facts.get("stages")
    if not isinstance(stages, list) or not stages:
        return
    keys = ("name", "epochs", "best_epoch", "best_score", "steps", "step_seconds", "seconds", "ended_by")
    headings = ("stage", "epochs", "best", "score", "steps", "ms a step", "s", "ended by")
    rows = [[_stage_value(key, stage.get(key)) for key in keys] for stage in stages if isinstance(stage, Mapping)]
    yield from heading("stages")
    yield table(headings, rows, indent=INDENT)


def _stage_value(key: str, value: Any) -> str:
    if value is None:
        return DASH
    if not isinstance(value, float):
        return str(value)
    return {"best_score": number(value), "step_seconds": f"{1000 * value:.2f}"}.get(key, f"{value:.2f}")


def _metrics(view: RunView) -> Iterable[str]:
    metrics = view.tables["metrics"]
    if metrics.empty:
        return
    entered = "" if view.record.status == "ok" else "; the run ended badly, they enter no score"
    yield from heading(f"metrics on the test split{entered}")
    tasks = list(dict.fromkeys(metrics["task"]))
    values = {(row["task"], row["metric"]): number(row["value"]) for row in metrics.to_dict("records")}
    better = dict(zip(metrics["metric"], metrics["higher_is_better"], strict=True))
    rows = [
        (metric, "higher" if up else "lower", *(values.get((task, metric), DASH) for task in tasks))
        for metric, up in better.items()
    ]
    yield table(("metric", "better", *tasks), rows, left=2, indent=INDENT)


def _warnings(view: RunView, width: int) -> Iterable[str]:
    if view.warnings:
        yield from heading("warnings")
    for warning in view.warnings:
        yield from filled(warning, width, INDENT, INDENT * 2)


def _environment(view: RunView, width: int) -> Iterable[str]:
    facts = view.environment
    if not facts:
        return
    yield from heading("environment")
    machine = ("gpu", "processor", "cores", "platform")
    yield from _fact(
        "device", _pairs({key: facts[key] for key in ("device", "threads", "cuda") if facts.get(key)}), width
    )
    yield from _fact("machine", ", ".join(_said(key, facts[key]) for key in machine if facts.get(key)), width)
    installed = facts.get("distributions")
    installed = installed if isinstance(installed, Mapping) else {}
    cell = view.record.cell
    ours = {part.distribution: part.distribution_version for part in (cell.dataset, cell.backbone, cell.weighting)}
    named = {name: installed[name] for name in _NAMED_DISTRIBUTIONS if name in installed}
    versions = {"python": facts["python"], **named} if facts.get("python") else named
    more = len(installed) - len({*named, *ours} & installed.keys())
    listed = _pairs({**versions, **ours}) + (f" and {more} more (--json lists them)" if more else "")
    yield from _fact("versions", listed, width)
    if facts.get("git"):
        yield from _fact("git", str(facts["git"]), width)


def _attempts(view: RunView, width: int) -> Iterable[str]:
    if len(view.attempts) > 1:
        yield from heading("attempts")
        for one in view.attempts:
            said = f": {one.reason}" if one.reason else ""
            yield from filled(f"{one.attempt}  {one.status}  {_time(one.finished)}{said}", width, INDENT, INDENT * 2)


def _again(view: RunView) -> Iterable[str]:
    if commands := view.commands:
        yield from heading("make it again, with all seeds of its method")
        # Not filled: a command is copied.
        yield from (f"{INDENT}{command}" for command in commands)


def _traceback(view: RunView) -> Iterable[str]:
    if view.record.error:
        yield from heading("why it ended badly")
        yield from (f"{INDENT}{line}".rstrip() for line in printable(view.record.error).rstrip().split("\n"))


def _fact(key: str, text: str, width: int) -> list[str]:
    if not text:
        return []
    return filled(text, width, f"{INDENT}{key:<{_KEY_WIDTH}}", " " * (len(INDENT) + _KEY_WIDTH))


def _in_order(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return phases or splits in the order in which they come; a record has them by name."""
    return sorted(found.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else len(_ORDER))


def _component(part: Component) -> str:
    plugin = "" if part.label == part.name else f"{part.name}, "
    name = f"{part.label} ({plugin}{part.distribution} {part.distribution_version}, version {part.version})"
    return f"{name}: {_pairs(part.parameters)}" if part.parameters else name


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value or "''"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False, default=str)


def _said(key: str, value: Any) -> str:
    return f"{value} {key}" if key == "cores" else str(value)


def _seconds(taken: float) -> str:
    return f"{taken:.2f} s" if taken < 60 else duration(taken)


def _time(iso: str) -> str:
    """Return a time of a run's record as date and time, in UTC as it was written."""
    try:
        return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S %Z}".rstrip()
    except ValueError:
        return printable(iso)
