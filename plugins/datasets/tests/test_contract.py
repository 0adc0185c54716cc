"""The data sets of this distribution keep to the contract, on raw files in the official formats.

KuaiRand's are those of the embedded sample, and RetailRocket's a part of the real ones. The rest is written here: each
label is drawn by what one field holds.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from rmtl_bench.testing import DatasetContract
from rmtl_bench_datasets import ali_ccp, aliexpress
from rmtl_bench_datasets.kuairand import KuaiRandPureSample

HERE = Path(__file__).parent
LEVELS = np.array([0.1, 0.3, 0.6, 0.9])


class TestSimulated(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "simulated", {"rows": 6000}


class TestSimulatedWithGeometricSessions(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "simulated", {"rows": 6000, "sessions": "geometric", "tasks": 3, "rates": (0.3, 0.2, 0.1)}


class TestKuaiRandPureSample(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "kuairand-pure-sample", {"users": 0.03}


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Write the embedded files, those of a few users, under the names of another size; all ``logs`` are the same."""
    embedded = KuaiRandPureSample().raw_files(Path())
    with gzip.open(embedded[0], "rt") as file:
        header, *rows = file
    few = "".join([header, *(row for row in rows if int(row.partition(",")[0]) % 1000 < 30)])

    def write(name, suffix, *logs):
        folder = tmp_path_factory.mktemp("raw") / name
        folder.mkdir()
        for path in embedded[1:]:
            (folder / path.name.replace("pure", suffix)).symlink_to(path)
        for log in logs:
            (folder / f"{log}.csv").write_text(few)
        return folder.parent

    return write


class TestKuaiRandPure(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "kuairand-pure", {"random_exposures": True}

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(written):
        logs = (f"log_{kind}_4_22_to_5_08_pure" for kind in ("standard", "random"))
        return written("kuairand-pure", "pure", *logs)


class TestKuaiRand1K(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "kuairand-1k"

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(written):
        return written("kuairand-1k", "1k", "log_standard_4_22_to_5_08_1k")


class TestKuaiRand27K(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "kuairand-27k"

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(written):
        return written("kuairand-27k", "27k", "log_standard_4_22_to_5_08_27k_part1")


class TestRetailRocket(DatasetContract):
    without: ClassVar = {
        "something-can-be-learnt": "the part has 263 carts, and nothing of the items but their numbers"
    }

    @pytest.fixture
    def plugin(self):
        return "retailrocket"

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(tmp_path_factory):
        folder = tmp_path_factory.mktemp("raw")
        (folder / "retailrocket").symlink_to(HERE / "data" / "retailrocket-part")
        return folder


def write_rows(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*([header] if header else []), *rows])


def drawn_columns(rows, fields, numbers, seed):
    """Return two labels, the second the child of the first, and the columns of fields and numbers."""
    generator = np.random.default_rng(seed)
    level = generator.integers(4, size=rows)
    first = generator.random(rows) < LEVELS[level]
    second = first & (generator.random(rows) < LEVELS[level])
    others = [generator.integers(1, 6, rows) for _ in range(fields - 1)]
    return first.astype(int), second.astype(int), [level, *others], list(generator.random((numbers, rows)).round(4))


class TestAliExpress(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "aliexpress"

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(tmp_path_factory):
        folder = tmp_path_factory.mktemp("raw")
        header = ["search_id", *aliexpress.CATEGORICAL, *aliexpress.NUMERICAL, "click", "conversion"]
        for name, rows, start in (("train", 2400, 0), ("test", 800, 2400)):
            sizes = len(aliexpress.CATEGORICAL), len(aliexpress.NUMERICAL)
            first, second, fields, numbers = drawn_columns(rows, *sizes, start)
            columns = [(start + np.arange(rows)) // 4, *fields, *numbers, first, second]
            write_rows(folder / "aliexpress" / "NL" / f"{name}.csv", header, zip(*columns, strict=True))
        return folder


class TestAliCCP(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "ali-ccp"

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(tmp_path_factory):
        folder = tmp_path_factory.mktemp("raw")
        header = ["click", "purchase", *ali_ccp.CATEGORICAL, *ali_ccp.NUMERICAL]
        for name, rows in (("train", 2400), ("test", 800)):
            sizes = len(ali_ccp.CATEGORICAL), len(ali_ccp.NUMERICAL)
            first, second, fields, numbers = drawn_columns(rows, *sizes, rows)
            write_rows(
                folder / "ali-ccp" / f"ali_ccp_{name}.csv", header, zip(first, second, *fields, *numbers, strict=True)
            )
        return folder


def people(rows, seed):
    """Return lines of the official form, 42 values each: age, education, wage, marital status, weight and income."""
    generator = np.random.default_rng(seed)
    school = generator.integers(4, size=rows)
    rich, never = (generator.random(rows) < LEVELS[place] for place in (school, 3 - school))
    for row in range(rows):
        values = ["Not in universe"] * 42
        for place in (5, 16, 17, 18, 30, 39):
            values[place] = str(generator.integers(50))
        values[0], values[4] = str(generator.integers(18, 80)), f"School {school[row]}"
        values[7] = "Never married" if never[row] else "Divorced"
        values[24], values[41] = "1000.0", "50000+." if rich[row] else "- 50000."
        yield ", ".join(values)


class TestCensusIncome(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "census-income"

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(tmp_path_factory):
        folder = tmp_path_factory.mktemp("raw")
        (folder / "census-income").mkdir()
        for name, rows in (("data", 2000), ("test", 800)):
            text = "\n".join(people(rows, rows)) + "\n"
            (folder / "census-income" / f"census-income.{name}").write_text(text)
        return folder


class TestMovieLens1M(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "movielens-1m"

    @pytest.fixture(scope="module")
    @staticmethod
    def data_dir(tmp_path_factory):
        """Ratings of the first movies alone, those with an even number liked more often."""
        folder = tmp_path_factory.mktemp("raw") / "movielens-1m"
        folder.mkdir()
        generator = np.random.default_rng(0)
        pairs = generator.choice(60 * 20, 1000, replace=False)
        stars = np.where(generator.random(1000) < LEVELS[pairs % 2 * 3], 5, 2)
        seconds = 960_000_000 + 240 * generator.integers(5000, size=1000)
        files = {
            "ratings": zip(1 + pairs // 20, 1 + pairs % 20, stars, seconds, strict=True),
            "users": [(user, "FM"[user % 2], 25, 4, f"5511{user}") for user in range(1, 61)],
            "movies": [(movie, f"Film {movie} ({1930 + movie})", "Comedy|Drama") for movie in range(1, 41)],
        }
        for name, lines in files.items():
            (folder / f"{name}.dat").write_text("".join("::".join(map(str, line)) + "\n" for line in lines))
        return folder.parent
