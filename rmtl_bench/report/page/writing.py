"""A report is written: read, drawn, rendered, and put in place in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.page.contents import read_contents
from rmtl_bench.report.page.drawings import draw
from rmtl_bench.report.page.rendering import render_page
from rmtl_bench.report.stored_suite import find_plan
from rmtl_bench.statistics.sessions import DRAWS
from rmtl_bench.store import Refreshed, Store
from rmtl_bench.store.disk import write_atomically


@dataclass(frozen=True)
class WrittenReport:
    """The file of a report and its size in bytes, the files of its figures, and what the store could not give."""

    path: Path
    size: int
    figures: tuple[Path, ...]
    refreshed: Refreshed


def write_report(
    store: Store,
    name: str,
    output: Path | None = None,
    *,
    sample: bool = False,
    metrics: Sequence[str] = (),
    figures: Path | None = None,
    draws: int = DRAWS,
) -> WrittenReport:
    """Write the report of a suite, named as :func:`find_plan` takes it, as one HTML file.

    ``output``: by default ``report-<suite>@<version>.html`` in the current folder. ``metrics``: as
    :meth:`StoredSuite.shown` takes them. ``figures``: a folder for every figure as SVG and PDF. ``draws``: resamplings
    of the test sessions. A report is written whatever state the suite is in. Raises :class:`UsageError` when the suite
    was not run in this store, for an unknown metric, and for a place that cannot be written to.
    """
    path = output or Path(f"report-{find_plan(store, name, sample=sample).name}.html")
    _check_place(path)
    contents = read_contents(store, name, sample=sample, metrics=metrics, draws=draws)
    try:
        if figures is not None:
            figures.mkdir(parents=True, exist_ok=True)
        groups, files = draw(contents, figures)
    except OSError as error:
        raise UsageError(f"the figures cannot be written to {figures}: {error.strerror or error}") from error
    text = render_page(contents, groups)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    return WrittenReport(path, len(text.encode()), tuple(files), contents.suite.refreshed)


def _check_place(path: Path) -> None:
    """Refuse a place before anything is computed for it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file for the report")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} into")
