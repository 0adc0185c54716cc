"""Writing a new plugin's distribution from the templates of its kind.

A template is a text with ``$name`` for what changes (:class:`string.Template`). Its place below ``templates/common`` or
``templates/KIND`` is that of the file it makes, with ``PACKAGE`` for the package and ``dot-`` for a dot in front.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.version import __version__
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.scaffold.interactions import ROWS, interactions_csv
from rmtl_bench.scaffold.naming import Names, check_name
from rmtl_bench.scaffold.trial import Surroundings, find_surroundings, trial_suite
from rmtl_bench.scaffold.wording import about, running

_TEMPLATES = Path(__file__).with_name("templates")
_ENDING = ".template"

_REQUIREMENTS = {
    "backbone": ("rmtl-bench[torch]{bounds}",),
    "weighting": ("rmtl-bench[torch]{bounds}",),
    "dataset": ("rmtl-bench[torch]{bounds}", "numpy>=1.26", "pandas>=2.2.2"),
    "metric": ("rmtl-bench[torch]{bounds}", "numpy>=1.26"),
    "executor": ("rmtl-bench[torch]{bounds}",),
}
"""What each kind imports."""

_UNTYPED = """
[[tool.mypy.overrides]]
module = ["pandas.*"]
ignore_missing_imports = true
"""
"""What a type checker must know of what a data set imports."""


@dataclass(frozen=True)
class Scaffold:
    """What was written: the folder, its files relative to it, and its suite; none where nothing here suits one."""

    names: Names
    folder: Path
    files: tuple[Path, ...]
    suite: Path | None


def write_distribution(kind: str, name: str, parent: Path, registry: Registry) -> Scaffold:
    """Write the distribution of a new plugin to ``parent / name``, all of it or nothing.

    Raises :class:`UsageError` for a name that :func:`check_name` refuses, and for a folder that is there and not empty,
    or cannot be written to.
    """
    names = check_name(kind, name, registry)
    folder = parent / name
    if not parent.is_dir():
        raise UsageError(f"--folder {parent} is no folder")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is there already, and not empty")
    surroundings = find_surroundings(registry)
    texts = dict(sorted(_texts(names, surroundings).items()))
    try:
        _publish(texts, folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error
    files = tuple(Path(place) for place in texts)
    return Scaffold(names, folder, files, folder / f"{name}.toml" if surroundings else None)


def version_bounds(version: str) -> str:
    """Return which versions keep to the contracts of ``version``, as a requirement has them: ``>=0.1,<0.2``."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return f">=0.{minor},<0.{minor + 1}" if major == 0 else f">={major}.{minor},<{major + 1}"


def _texts(names: Names, surroundings: Surroundings | None) -> dict[str, str]:
    """Return the text of every file by its place in the distribution."""
    values = _values(names, surroundings)
    texts = {
        _place(path.relative_to(root), names): Template(path.read_text("utf-8")).substitute(values)
        for root in (_TEMPLATES / "common", _TEMPLATES / names.kind)
        for path in _templates(root)
    }
    if names.kind == "dataset":
        texts[f"{names.package}/interactions.csv"] = interactions_csv()
    if surroundings:
        texts[f"{names.name}.toml"] = trial_suite(names, surroundings)
    return texts


def _values(names: Names, surroundings: Surroundings | None) -> Mapping[str, str]:
    requirements = (each.format(bounds=version_bounds(__version__)) for each in _REQUIREMENTS[names.kind])
    return {
        "name": names.name,
        "kind": names.kind,
        "a_kind": f"{'an' if names.kind[0] in 'aeiou' else 'a'} {names.kind}",
        "package": names.package,
        "module": names.kind,
        "title": names.title,
        "class_name": names.class_name,
        "contract_name": f"{names.kind.capitalize()}Contract",
        "dependencies": ", ".join(f'"{requirement}"' for requirement in requirements),
        "untyped": _UNTYPED * (names.kind == "dataset"),
        "rows": f"{ROWS:,}",
        "about": about(names),
        "running": running(names, surroundings is not None),
    }


def _templates(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob(f"*{_ENDING}")) if path.is_file())


def _place(path: Path, names: Names) -> str:
    """Return where the file of a template stands."""
    parts = (part.removesuffix(_ENDING).replace("dot-", ".", part.startswith("dot-")) for part in path.parts)
    return "/".join(names.package if part == "PACKAGE" else part for part in parts)


def _publish(texts: Mapping[str, str], folder: Path) -> None:
    """Write the files aside and give the folder its name at the end: it is whole or not there."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        written = Path(aside) / folder.name
        for place, text in texts.items():
            path = written / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        if folder.exists():
            folder.rmdir()
        shutil.move(written, folder)
