"""Two data sets that are right, and for each check some that are wrong in a single way."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from rmtl_bench import DatasetInfo, Source, hookimpl
from rmtl_bench.contracts import CategoricalField, DataError, Dataset, Schema
from rmtl_bench.testing import simulated_sessions

ROWS = 2400
SOURCE = Source(homepage="https://example.org", folder="seeds", steps=("write a number into {folder}/seed.txt",))
CAPABILITIES = frozenset({"sessions", "parent-task", "optimum"})
DESCRIBED = {"licence": "none needed", "size": f"{ROWS} rows", "provides": CAPABILITIES}


class Right(Dataset):
    """Simulated sessions, a click and what follows it."""

    def build(self, data_dir, scratch):
        return self.changed(simulated_sessions(ROWS, [None, 0]))

    def changed(self, table):
        return table


class FromFiles(Dataset):
    """The same, by a seed from a file."""

    def raw_files(self, data_dir):
        path = data_dir / "seeds" / "seed.txt"
        if not path.is_file():
            raise DataError(f"a file is missing: {path}")
        return [path]

    def build(self, data_dir, scratch):
        (path,) = self.raw_files(data_dir)
        return simulated_sessions(ROWS, [None, 0], seed=int(path.read_text()))


class NoDataset:
    raw_files, build = Right.raw_files, Right.build


class SaysNotWhere(FromFiles):
    def raw_files(self, data_dir):
        raise DataError("the files are missing")


class StumblesOverNothing(FromFiles):
    def raw_files(self, data_dir):
        return sorted((data_dir / "seeds").iterdir(), key=lambda path: path.name)


class NamesWhatIsNotThere(FromFiles):
    def raw_files(self, data_dir):
        return [data_dir / "seeds" / "seed.txt"]


class ReturnsNoTable(Right):
    def changed(self, table):
        return {"labels": table.labels}


class FailsToBuild(Right):
    def changed(self, table):
        raise RuntimeError("no table today")


class IdsBeyondTheSize(Right):
    def changed(self, table):
        fields = (replace(table.schema.categorical[0], size=5), *table.schema.categorical[1:])
        return replace(table, schema=replace(table.schema, categorical=fields))


class OfTheMoment(Right):
    def changed(self, table):
        return replace(table, numerical=np.random.default_rng().random(table.numerical.shape, np.float32))


class OfNumpy(Right):
    def changed(self, table):
        return replace(table, numerical=np.random.random(table.numerical.shape).astype(np.float32))


class SeedsNumpy(Right):
    def changed(self, table):
        np.random.seed(0)
        return table


class KeepsItsScratch(Right):
    def build(self, data_dir, scratch):
        self.kept = getattr(self, "kept", scratch / "kept.npy")
        if self.kept.parent == scratch:
            np.save(self.kept, np.zeros(1))
        np.load(self.kept)
        return super().build(data_dir, scratch)


class ReadsMore(FromFiles):
    def build(self, data_dir, scratch):
        more = data_dir / "seeds" / "more.txt"
        table = super().build(data_dir, scratch)
        return replace(table, notes={"more": more.read_text()})


class LooksAround(FromFiles):
    def build(self, data_dir, scratch):
        names = sorted(path.name for path in (data_dir / "seeds").iterdir())
        return replace(super().build(data_dir, scratch), notes={"beside": names})


class NamesOthersEachTime(FromFiles):
    calls = 0

    def raw_files(self, data_dir):
        type(self).calls += 1
        (path,) = super().raw_files(data_dir)
        return [path, path.with_name("more.txt")][: 1 + (self.calls > 2)]

    def build(self, data_dir, scratch):
        return simulated_sessions(ROWS, [None, 0])


class Litters(Right):
    def build(self, data_dir, scratch):
        Path("left.txt").touch()
        return super().build(data_dir, scratch)


class UnpacksBesideItsFiles(FromFiles):
    def build(self, data_dir, scratch):
        (data_dir / "unpacked.txt").write_text("unpacked")
        return super().build(data_dir, scratch)


class LeavesTemporaryFiles(Right):
    def build(self, data_dir, scratch):
        tempfile.mkdtemp(prefix="left-")
        return super().build(data_dir, scratch)


class KeepsItsProbabilities(Right):
    def changed(self, table):
        return replace(table, optimum=None)


class NoPositives(Right):
    def changed(self, table):
        labels = table.labels.copy()
        labels[table.split("valid"), 1] = 0
        return replace(table, labels=labels)


class NumberOfTheLabel(Right):
    def changed(self, table):
        return replace(table, numerical=3 - 2 * table.labels[:, :1])


class FieldOfTheLabel(Right):
    def changed(self, table):
        fields = (*table.schema.categorical, CategoricalField("bought", 7))
        column = np.where(table.labels[:, 1] > 0, 4 + np.arange(len(table)) % 3, 1 + np.arange(len(table)) % 3)
        schema = Schema(fields, table.schema.numerical, table.schema.tasks)
        return replace(table, schema=schema, categorical=np.column_stack([table.categorical, column]).astype(np.int32))


class NewIdsInTheTest(Right):
    def changed(self, table):
        fields = (replace(table.schema.categorical[0], size=80), *table.schema.categorical[1:])
        ids = table.categorical.copy()
        ids[table.split("test").start :: 5, 0] = 79
        return replace(table, schema=replace(table.schema, categorical=fields), categorical=ids)


class HalvedProbabilities(Right):
    def changed(self, table):
        return replace(table, optimum=table.optimum / 2)


class TimidProbabilities(Right):
    def changed(self, table):
        means = table.optimum.mean(0)
        return replace(table, optimum=means + (table.optimum - means) / 4)


class ShuffledFeatures(Right):
    def changed(self, table):
        order = np.random.default_rng(0).permutation(len(table))
        return replace(table, categorical=table.categorical[order], numerical=table.numerical[order], optimum=None)


def described(name, made, **more):
    return DatasetInfo(name=name, target=f"{__name__}:{made.__name__}", summary="a data set", **{**DESCRIBED, **more})


@hookimpl
def rmtl_datasets():
    plain = {
        "right": Right,
        "no-data-set": NoDataset,
        "no-table": ReturnsNoTable,
        "fails-to-build": FailsToBuild,
        "ids-beyond-the-size": IdsBeyondTheSize,
        "of-the-moment": OfTheMoment,
        "of-numpy": OfNumpy,
        "seeds-numpy": SeedsNumpy,
        "keeps-its-scratch": KeepsItsScratch,
        "litters": Litters,
        "leaves-temporary-files": LeavesTemporaryFiles,
        "keeps-its-probabilities": KeepsItsProbabilities,
        "no-positives": NoPositives,
        "number-of-the-label": NumberOfTheLabel,
        "field-of-the-label": FieldOfTheLabel,
        "new-ids-in-the-test": NewIdsInTheTest,
        "halved-probabilities": HalvedProbabilities,
        "timid-probabilities": TimidProbabilities,
    }
    of_files = {
        "right-from-files": FromFiles,
        "says-not-where": SaysNotWhere,
        "stumbles-over-nothing": StumblesOverNothing,
        "names-what-is-not-there": NamesWhatIsNotThere,
        "reads-more": ReadsMore,
        "looks-around": LooksAround,
        "names-others-each-time": NamesOthersEachTime,
        "unpacks-beside-its-files": UnpacksBesideItsFiles,
    }
    return [
        *(described(name, made) for name, made in plain.items()),
        *(described(name, made, source=SOURCE) for name, made in of_files.items()),
        described("needless-source", Right, source=SOURCE),
        described("no-licence", Right, licence=" "),
        described("no-size", Right, size=""),
        described("no-source", FromFiles),
        described("modest", Right, provides=frozenset({"sessions", "optimum"})),
        described("like-a-backbone", Right, provides=CAPABILITIES | {"shared-parameters"}),
        described("shuffled-features", ShuffledFeatures, provides=CAPABILITIES - {"optimum"}),
    ]
