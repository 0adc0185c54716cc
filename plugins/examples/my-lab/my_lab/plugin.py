"""What this distribution offers. Every command of rmtl-bench imports this: it imports neither torch nor DuckDB."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rmtl_bench import BackboneInfo, DatasetInfo, Parameter, Source, hookimpl

# Bounds belong here: a suite with a value outside of them is refused before anything runs.
_DATA_PARAMETERS = {
    "gap_minutes": Parameter(30.0, "minutes without a visit that end a session", minimum=0),
    "split": Parameter((0.6, 0.2, 0.2), "shares of train, valid and test, by time", minimum=0, maximum=1),
    "min_count": Parameter(2, "training rows that a value needs for an id of its own", minimum=1),
}
# Suites skip, and say so, what cannot go together: ESMM, say, requires a data set that provides parent-task.
_DATA_PROVIDES = frozenset({"sessions", "parent-task"})


@hookimpl
def rmtl_backbones() -> list[BackboneInfo]:
    """Return the backbone."""
    return [
        BackboneInfo(
            name="film",
            target="my_lab.film:FiLM",
            summary="one network for all tasks, whose hidden units each task scales and shifts",
            paper="Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI 2018, arXiv 1709.07871",
            year=2018,
            differs="The paper conditions on a question about a picture; here the condition is the task.",
            parameters={
                "embedding_dim": Parameter(16, "width of each field's vector", minimum=1),
                "bottom": Parameter((64, 32), "widths of the network below the modulation", minimum=1),
                "tower": Parameter((16,), "widths of the network above it", minimum=1),
                "dropout": Parameter(0.1, "share of hidden units dropped in training", minimum=0, maximum=0.9),
            },
            provides=frozenset({"shared-parameters", "shared-representation"}),
        )
    ]


@hookimpl
def rmtl_datasets() -> list[DatasetInfo]:
    """Return the data set of the user's own files, and the example that comes with this distribution."""
    source = Source(
        homepage="https://example.org/my-lab",
        folder="visits",
        steps=("write visits.csv, or several files visits-*.csv, into {folder}; the README says which columns",),
    )
    return [
        DatasetInfo(
            name="visits",
            target="my_lab.visits:Visits",
            summary="visits to a shop, from CSV files of your own",
            licence="your own",
            size="whatever the files hold",
            source=source,
            parameters=_DATA_PARAMETERS,
            provides=_DATA_PROVIDES,
        ),
        DatasetInfo(
            name="visits-example",
            target="my_lab.visits:VisitsExample",
            summary="1,800 invented visits, to see that everything works",
            licence="MIT, as the code",
            size="1,800 rows, nothing to download",
            parameters=_DATA_PARAMETERS,
            provides=_DATA_PROVIDES,
        ),
    ]


@hookimpl
def rmtl_suites() -> Iterable[Path]:
    """Return the suites shipped here: ``rmtl-bench run --suite my-lab`` finds them by name."""
    return sorted((Path(__file__).parent / "suites").glob("*.toml"))
