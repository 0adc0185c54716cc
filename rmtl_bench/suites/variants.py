"""A suite under another precision than its own: a suite of its own, since its numbers are others.

``paper`` under ``bf16`` is called ``paper-bf16``. Its plan and its tables stand beside those of ``paper`` in a store,
neither mixes with the other, and every command that takes a suite takes it by that name.
"""

from __future__ import annotations

from dataclasses import replace

from rmtl_bench.plugins.registry import Registry
from rmtl_bench.suites.additions import split_additions, with_additions
from rmtl_bench.suites.suite_file import Suite, find_suite, list_suites, read_suite
from rmtl_bench.training.settings import PRECISIONS, TrainerSettings


def read_variant(registry: Registry, wanted: str, *, sample: bool = False, precision: str = "") -> Suite:
    """Return the suite that is wanted, as :func:`find_suite` and :func:`read_suite` do, under a precision if one is
    given; ``NAME-PRECISION`` and ``NAME-PRECISION@VERSION`` are understood where no suite is called so, and so are
    additions, ``NAME+ADDED`` (see :mod:`rmtl_bench.suites.additions`).
    """
    wanted, added = split_additions(wanted)
    name, at, version = wanted.partition("@")
    own, _, ending = name.rpartition("-")
    called = {head["name"] for _, _, head in list_suites(registry)}
    if not precision and ending in PRECISIONS and own in called and name not in called:
        wanted, precision = f"{own}{at}{version}", ending
    suite = read_suite(find_suite(registry, wanted), sample=sample)
    return with_additions(with_precision(suite, precision) if precision else suite, added, registry)


def with_precision(suite: Suite, precision: str) -> Suite:
    """Return the suite under a precision: itself where it is the suite's own, else one called ``NAME-PRECISION``.

    A note says so on top of every table. Raises ``UsageError`` for an unknown precision.
    """
    own = TrainerSettings.resolve(suite.trainer).precision
    trainer = {**suite.trainer, "precision": precision}
    if TrainerSettings.resolve(trainer).precision == own:
        return suite
    note = f"precision {precision} in place of {own}, which {suite.title_line} has"
    return replace(suite, name=f"{suite.name}-{precision}", trainer=trainer, notes=(*suite.notes, note))
