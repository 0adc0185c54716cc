"""What every data set keeps to."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.catalogue import DatasetInfo
from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.metrics.ranking import auc_score
from rmtl_bench.testing.checks import NotApplicable, broken, check
from rmtl_bench.testing.subjects import Subject
from rmtl_bench.testing.tables import (
    built,
    difference,
    empty_folder,
    find_raw_files,
    first_line,
    first_rows,
    new_dataset,
    table_of,
    watch_build,
)

_MOST_ROWS = 200_000
"""Rows of a split that the statistical checks look at."""

_LEARNING_ROWS = 5000
_LEAST_OF_A_CLASS = 10
_LEAST_OF_A_VALUE = 5
_DETERMINED = 0.999
_MOST_UNTRAINED = 0.01
_SURE = 6.0
"""Standard errors that chance does not reach."""


@check
def target_is_a_data_set(subject: Subject) -> None:
    """The target is a class that derives from Dataset."""
    made = new_dataset(subject)
    if not isinstance(made, Dataset):
        broken(f"{subject.info.target} makes a {type(made).__name__}", "let the class derive from Dataset")


@check
def missing_raw_files_are_named(subject: Subject) -> None:
    """Where raw files are missing, raw_files() raises a DataError that says where they are looked for."""
    info = _info(subject)
    with empty_folder() as nowhere:
        try:
            files = [Path(path) for path in new_dataset(subject).raw_files(nowhere)]
        except DataError as error:
            if str(nowhere) not in str(error):
                broken(f"the error is {first_line(error)!r}", "let it name the folder where the files are looked for")
            return
        except Exception as error:
            _raised(error, "raw_files() of an empty folder", "raise a DataError where files are missing")
        if lacking := [path for path in files if not path.is_file()]:
            broken(f"raw_files() names {lacking[0].name!r}, which is no file", "raise a DataError where it is missing")
    if info.source is not None:
        broken(
            "raw_files() of an empty folder misses nothing, and the description has a source",
            "return the raw files there, or describe no source",
        )
    raise NotApplicable("it needs no raw files")


@check
def licence_size_and_source_are_described(subject: Subject) -> None:
    """The description says under which licence the data stand, how large they are, and where raw files come from."""
    info = _info(subject)
    for name in ("licence", "size"):
        if not getattr(info, name).strip():
            broken(f"the description has no {name}", f"say the {name} of the data: DatasetInfo({name}=...)")
    with empty_folder() as nowhere:
        try:
            new_dataset(subject).raw_files(nowhere)
        except DataError:
            if info.source is None:
                broken("it needs raw files, and the description has no source", "say where they come from: source")


@check
def table_keeps_every_promise(subject: Subject) -> None:
    """build() returns a table that keeps every promise of SessionTable."""
    found = built(subject)
    if found.first.error is not None:
        raise found.first.error
    if not isinstance(found.first.table, SessionTable):
        broken(f"build() returns a {type(found.first.table).__name__}", "return a SessionTable")
    if found.problem:
        broken(found.problem, "mend the table that build() returns")


@check
def same_table_twice(subject: Subject) -> None:
    """A second build, in another current folder, gives the same table, whatever has been drawn or built before."""
    found, table = built(subject), table_of(subject)
    again = watch_build(found.dataset, subject.data_dir, seed=2)
    if again.table is None:
        _raised(again.error, "a second build, the first one's scratch gone,", "keep nothing from one build to the next")
    if part := difference(table, again.table):
        same_seed = watch_build(new_dataset(subject), subject.data_dir, seed=1)
        if same_seed.table is not None and not difference(table, same_seed.table):
            broken(
                f"{part} differs from one build to the next, but not where the global generators start at the same",
                "draw from a generator of its own, seeded by a parameter",
            )
        broken(
            f"{part} differs from one build to the next",
            "draw from a generator of its own, seeded by a parameter, and order rows by what they hold",
        )
    if moved := [*found.first.moved, *again.moved]:
        broken(f"a build moves the global generator of {moved[0]}", "draw from a generator of its own")


@check
def raw_files_are_all_that_is_read(subject: Subject) -> None:
    """The table is the same where there is nothing but the files that raw_files() returns."""
    found, table = built(subject), table_of(subject)
    if subject.data_dir is None:
        raise NotApplicable("no folder of raw files was given")
    given = subject.data_dir.resolve()
    with empty_folder() as elsewhere:
        for path in found.raw_files:
            if path.is_relative_to(given):
                link = elsewhere / path.relative_to(given)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path)
        alone = watch_build(new_dataset(subject), elsewhere, seed=1)
    change = "let raw_files() return every file that build() reads: they are the data's fingerprint"
    if alone.table is None:
        _raised(alone.error, "a build from the files of raw_files() alone", change)
    if part := difference(table, alone.table):
        broken(f"{part} differs where there are the files of raw_files() alone", change)


@check
def fingerprint_is_stable(subject: Subject) -> None:
    """The data's fingerprint is the same before and after a build, and of another object of the class."""
    found = built(subject)
    for dataset in (found.dataset, new_dataset(subject)):
        if find_raw_files(subject, dataset)[1] != found.fingerprint:
            broken(
                "the fingerprint differs from one time to the next",
                "let raw_files() return the same files every time, and build() leave them as they are",
            )


@check
def nothing_is_written_outside_scratch(subject: Subject) -> None:
    """build() writes into scratch alone: the current folder, that of raw files and temporary ones stay as they are."""
    if left := built(subject).first.left:
        broken(f"build() leaves or changes {left[0]}", "write into scratch, and nowhere else")


@check
def capabilities_are_those_of_the_table(subject: Subject) -> None:
    """provides says what the table has: sessions of several rows, tasks with parents, true probabilities."""
    table, declared = table_of(subject), subject.info.provides
    has = {
        "sessions": (bool((table.session_end[table.split("train")] == 0).any()), "sessions of more than one row"),
        "parent-task": (any(task.parent for task in table.schema.tasks), "a task with a parent"),
        "optimum": (table.optimum is not None, "true probabilities"),
    }
    for capability, (there, what) in has.items():
        if there and capability not in declared:
            broken(f"the table has {what}, and the description does not provide {capability!r}", "provide it")
        if not there and capability in declared:
            broken(f"the table has no {what.removeprefix('a ')}, and the description provides {capability!r}", "do not")
    for capability in ("shared-parameters", "shared-representation"):
        if capability in declared:
            broken(f"the description provides {capability!r}, which only a backbone has", "do not")


@check
def every_split_has_both_labels(subject: Subject) -> None:
    """In every split, each task has known labels of both classes."""
    table = table_of(subject)
    for split in table.splits:
        for column, task in enumerate(table.schema.tasks):
            known = _known(table, table.split(split), column)
            if not 0 < known.sum() < len(known):
                seen = f"{len(known):,} known labels in {split!r}, {int(known.sum()):,} of them 1"
                broken(f"task {task.name!r} has {seen}", "split otherwise, or leave the task or the split out")


@check
def no_feature_is_a_label(subject: Subject) -> None:
    """No column alone tells a label: what is known only afterwards is no feature."""
    table, looked = table_of(subject), False
    train, test = _part(table, "train"), _part(table, "test")
    for column in range(len(table.schema.tasks)):
        for place, described in enumerate(table.schema.categorical):
            ids = table.categorical[:, place]
            rates, rows = _rates(ids[train], table.labels[train, column], described.size)
            telling = rows[ids[test]] >= _LEAST_OF_A_VALUE
            looked |= _refuse_telling(table, test, column, rates[ids[test]], telling, f"field {described.name!r}")
        for place, name in enumerate(table.schema.numerical):
            values = np.asarray(table.numerical[test, place], np.float64)
            looked |= _refuse_telling(table, test, column, values, np.ones(len(values), bool), f"number {name!r}")
    if not looked:
        raise NotApplicable(f"no task has {_LEAST_OF_A_CLASS} test rows of either class")


def _rates(
    ids: NDArray[np.int32], labels: NDArray[np.float32], size: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return for each value of a field the mean label, and the rows it stands in."""
    rows = np.bincount(ids, minlength=size)
    return np.bincount(ids, labels, size) / np.maximum(rows, 1), rows


def _refuse_telling(
    table: SessionTable, test: slice, column: int, scores: NDArray[np.float64], telling: NDArray[np.bool_], what: str
) -> bool:
    """Raise ``Broken`` where scores tell a task's labels; return whether there were rows enough to say so."""
    if table.label_mask is not None:
        telling = telling & table.label_mask[test, column]
    labels = table.labels[test, column][telling]
    if min(labels.sum(), (labels == 0).sum()) < _LEAST_OF_A_CLASS:
        return False
    area = auc_score(labels, scores[telling])
    if max(area, 1 - area) >= _DETERMINED:
        task = table.schema.tasks[column].name
        broken(f"{what} alone tells the label of task {task!r} (AUC {max(area, 1 - area):.4f})", "leave it out")
    return True


@check
def unknown_values_have_id_0(subject: Subject) -> None:
    """Values that no training row has are given id 0, the out-of-vocabulary id, whose embedding is trained."""
    table = table_of(subject)
    test = _part(table, "test")
    for place, described in enumerate(table.schema.categorical):
        ids = table.categorical[:, place]
        seen = np.zeros(described.size, bool)
        seen[ids[table.split("train")]] = True
        seen[0] = True
        share = 1 - seen[ids[test]].mean()
        if share > _MOST_UNTRAINED:
            broken(
                f"{share:.1%} of the test rows have ids of field {described.name!r} that no training row has",
                "make the vocabulary of the training rows, and give 0 to what is not in it",
            )


@check
def true_probabilities_are_true(subject: Subject) -> None:
    """Where the true probabilities are given, labels come true as often as they say."""
    table = table_of(subject)
    if table.optimum is None:
        raise NotApplicable("the true probabilities are not known")
    for split in ("train", "test"):
        part = _part(table, split)
        for column, task in enumerate(table.schema.tasks):
            chance = np.asarray(table.optimum[part, column], np.float64)
            known = np.ones(len(chance), bool) if table.label_mask is None else table.label_mask[part, column]
            excess = np.where(known, table.labels[part, column] - chance, 0.0)
            deciles = np.quantile(chance[known], np.arange(1, 10) / 10) if known.any() else np.zeros(9)
            which = np.searchsorted(deciles, chance)
            for chosen in (known, *(known & (which == place) for place in range(10))):
                if _excess_in_standard_errors(excess, chance, chosen, table.session[part]) > _SURE:
                    broken(
                        f"of {chosen.sum():,} rows of {split!r} {chance[chosen].mean():.4f} should have a 1 of task "
                        f"{task.name!r}, and {table.labels[part, column][chosen].mean():.4f} have one",
                        "let optimum hold the probabilities that the labels were drawn with, given the features",
                    )


def _excess_in_standard_errors(
    excess: NDArray[np.float64], chance: NDArray[np.float64], chosen: NDArray[np.bool_], session: NDArray[np.int32]
) -> float:
    """Return how far from 0 the sum of the excess is; the labels of one session may depend on each other."""
    independent = (chance * (1 - chance))[chosen].sum()
    if independent < _LEAST_OF_A_CLASS:
        return 0.0
    _, codes = np.unique(session[chosen], return_inverse=True)
    sums = np.bincount(codes, excess[chosen])
    return float(abs(sums.sum()) / np.sqrt(max((sums**2).sum(), independent)))


@check
def something_can_be_learnt(subject: Subject) -> None:
    """A plain model that is trained on a few thousand rows ranks the test rows of some task better than chance."""
    from rmtl_bench.testing.trainings import make_trainer, probabilities

    table = first_rows(table_of(subject), _LEARNING_ROWS)
    columns = [k for k in range(len(table.schema.tasks)) if _classes(table, k).min() >= _LEAST_OF_A_CLASS]
    if not columns:
        raise NotApplicable(f"no task has {_LEAST_OF_A_CLASS} test rows of either class")
    trainer = make_trainer(table, batch_size=256)
    trainer.run()
    predicted = probabilities(trainer, table)
    said = []
    for column in columns:
        test = table.split("test")
        known = np.ones(table.split_sizes[2], bool) if table.label_mask is None else table.label_mask[test, column]
        area = auc_score(table.labels[test, column][known], predicted[known, column])
        negatives, positives = _classes(table, column)
        by_chance = np.sqrt((negatives + positives + 1) / (12 * negatives * positives))
        if area > 0.5 + 3 * by_chance:
            return
        said.append(f"{table.schema.tasks[column].name!r} {area:.3f}")
    broken(
        f"after a short training a plain model has an AUC of {', '.join(said)}, which may be chance",
        "look whether rows of features and labels belong together",
    )


def _classes(table: SessionTable, column: int) -> NDArray[np.int64]:
    """Return the numbers of known negatives and positives of a task among the test rows."""
    known = _known(table, table.split("test"), column)
    return np.array([(known == 0).sum(), (known == 1).sum()])


def _known(table: SessionTable, rows: slice, column: int) -> NDArray[np.float32]:
    labels = table.labels[rows, column]
    return np.asarray(labels if table.label_mask is None else labels[table.label_mask[rows, column]])


def _part(table: SessionTable, split: str) -> slice:
    rows = table.split(split)
    return slice(rows.start, min(rows.stop, rows.start + _MOST_ROWS))


def _info(subject: Subject) -> DatasetInfo:
    if not isinstance(subject.info, DatasetInfo):
        broken(f"the description is a {type(subject.info).__name__}", "describe it by a DatasetInfo")
    return subject.info


def _raised(error: Exception | None, what: str, change: str) -> NoReturn:
    broken(f"{what} raised {type(error).__name__}: {first_line(error)}", change)
