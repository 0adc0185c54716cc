"""What is there and what is missing, before anything is ranked."""

from __future__ import annotations

from dataclasses import dataclass

from rmtl_bench.report.page.contents import ReportContents
from rmtl_bench.report.page.views import Cell, Heading, Row, Table


@dataclass(frozen=True)
class Completeness:
    """``sentence`` counts the runs; ``tables`` list what is missing, none where nothing is."""

    sentence: str
    tables: tuple[Table, ...]

    @property
    def complete(self) -> bool:
        """Whether every planned run has all its scores."""
        return not self.tables


def completeness(contents: ReportContents) -> Completeness:
    """Return what of the plan has been run, and what has not."""
    tables = tuple(table for table in (_missing(contents), _incomplete(contents)) if table.rows)
    return Completeness(_sentence(contents), tables)


def ending(contents: ReportContents) -> str:
    """Return how the runs ended that did not end well, "" where there are none: "2 failed, 1 timeout"."""
    ended = contents.suite.ended_badly()
    return ", ".join(f"{count} {status}" for status, count in ended.items())


def _sentence(contents: ReportContents) -> str:
    plan = contents.suite.plan
    planned = len(plan.cells)
    tried = sum(cell.run_id in contents.attempts for cell in plan.cells)
    badly = sum(contents.suite.ended_badly().values())
    parts = [f"{tried - badly} ended well"]
    parts += [ending(contents)] if badly else []
    parts += [f"{planned - tried} not run yet"] if tried < planned else []
    runs = f"{planned} planned run{'' if planned == 1 else 's'}"
    return f"{runs}: {', '.join(parts)}." if len(parts) > 1 else f"{runs}, all of which ended well."


def _missing(contents: ReportContents) -> Table:
    headings = (Heading("data set"), Heading("method", "method"), Heading("seeds without scores"))
    groups = contents.board.missing.groupby(["dataset", "method"])["seed"]
    rows = tuple(
        Row(str(method), (Cell(str(dataset)), Cell(str(method)), Cell(", ".join(map(str, sorted(seeds))))))
        for (dataset, method), seeds in groups
    )
    return Table("missing runs", headings, rows)


def _incomplete(contents: ReportContents) -> Table:
    headings = (
        *(Heading(name) for name in ("data set", "task", "metric")),
        Heading("method", "method"),
        Heading("n/N", "number"),
    )
    rows = tuple(
        Row(r["method"], (*(Cell(r[key]) for key in ("dataset", "task", "metric", "method")), _count(r)))
        for r in contents.board.incomplete.to_dict("records")
    )
    return Table("incomplete cells, without a rank", headings, rows)


def _count(record: dict[str, int]) -> Cell:
    return Cell(f"{record['n']}/{record['expected']}")
