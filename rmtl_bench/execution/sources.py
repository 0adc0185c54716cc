"""From a cell's data set to its prepared table on disk."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from rmtl_bench.contracts.catalogue import DatasetInfo
from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.dataset import Dataset
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.source import Source
from rmtl_bench.data.download import FetchListener
from rmtl_bench.data.fetching import fetch
from rmtl_bench.data.preparation import default_cache_dir, default_data_dir, fingerprint, prepare
from rmtl_bench.plugins.registry import Registry


class DataSources:
    """Builds data sets by name, and knows where raw files and prepared tables lie."""

    def __init__(self, registry: Registry, data_dir: Path | None = None, cache_dir: Path | None = None) -> None:
        self.registry = registry
        self.data_dir = data_dir or default_data_dir()
        self.cache_dir = cache_dir or default_cache_dir()

    def fingerprint(self, component: Component) -> str:
        """Return the fingerprint of the data. Raises ``DataError`` saying what to type when raw files are missing."""
        self._check_raw_files(component)
        return fingerprint(self._dataset(component), component, self.data_dir, self.cache_dir)

    def fetch_lacking(self, component: Component, listener: FetchListener) -> None:
        """Fetch the raw files of a data set if they are not there; raise ``DataError`` where that cannot be done."""
        source = self._source(component)
        try:
            self._dataset(component).raw_files(self.data_dir)
        except DataError:
            if source is None:
                raise
            fetch(component.name, source, self.data_dir, listener)

    def _check_raw_files(self, component: Component) -> None:
        try:
            self._dataset(component).raw_files(self.data_dir)
        except DataError as error:
            source = self._source(component)
            if source is None:
                raise
            hint = f"  source: {source.homepage}\n  type: rmtl-bench data fetch {component.name}"
            raise DataError(f"{error}\n{hint}") from error

    def _source(self, component: Component) -> Source | None:
        return cast("DatasetInfo", self.registry.find("dataset", component.name).info).source

    def prepare(self, component: Component, digest: str) -> Path:
        """Return the folder of the prepared table of that fingerprint, preparing it if it is not there."""
        return prepare(self._dataset(component), digest, component, self.data_dir, self.cache_dir)

    def _dataset(self, component: Component) -> Dataset:
        dataset: Dataset = self.registry.find("dataset", component.name).load()(**component.parameters)
        return dataset
