from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.suites import Suite, read_suite


@pytest.fixture(scope="session")
def registry(toy_plugin: Path) -> Registry:
    """What the harness and the toy plugin offer, whatever else is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        return load_plugins([toy_plugin]).registry


@pytest.fixture
def edited(toy_suite: Path, tmp_path: Path) -> Callable[..., Path]:
    """The toy suite's file with some texts replaced by others, given in turns."""

    def edit(*changes: str) -> Path:
        text = toy_suite.read_text("utf-8")
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert text.count(old) >= 1, old
            text = text.replace(old, new)
        path = tmp_path / "edited.toml"
        path.write_text(text, "utf-8")
        return path

    return edit


@pytest.fixture
def suite(edited: Callable[..., Path]) -> Callable[..., Suite]:
    """The toy suite with some texts replaced, read."""
    return lambda *changes, sample=False: read_suite(edited(*changes), sample=sample)
