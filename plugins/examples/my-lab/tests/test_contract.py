"""What every backbone and every data set keeps to: the checks come from rmtl-bench, one fixture each says of what."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from my_lab.visits import VisitsExample
from rmtl_bench.testing import BackboneContract, DatasetContract


class TestFiLM(BackboneContract):
    @pytest.fixture
    def plugin(self):
        # A name, or a name and parameters: small ones, so that the trainings of the checks take seconds.
        return "film", {"embedding_dim": 8, "bottom": (16, 8), "tower": (4,)}


class TestVisitsExample(DatasetContract):
    @pytest.fixture
    def plugin(self):
        return "visits-example"


@pytest.fixture(scope="module")
def raw_files(tmp_path_factory) -> Path:
    """A data folder as a user would have it: the example's rows, in two files."""
    folder = tmp_path_factory.mktemp("data") / "visits"
    folder.mkdir()
    header, *rows = (VisitsExample().folder(folder) / "visits.csv").read_text().splitlines(keepends=True)
    (folder / "visits-1.csv").write_text(header + "".join(rows[900:]))
    (folder / "visits-2.csv").write_text(header + "".join(rows[:900]))
    return folder.parent


class TestVisits(DatasetContract):
    # A check that has nothing to find here may be left out, with the reason.
    without: ClassVar = {"something-can-be-learnt": "these are the rows of the example, of which it is checked"}

    @pytest.fixture
    def plugin(self):
        return "visits", {"min_count": 1}

    @pytest.fixture
    def data_dir(self, raw_files):
        return raw_files
