"""Build all five distributions twice, compare, and run the wheels in an empty environment: ``wheels.py FOLDER``.

What is held: two builds, from two copies of the checkout, give the same bytes; twine finds nothing to say; each archive
holds its licence and its type marker, and no real data but what its licence lets it carry; from wheels alone, in a new
virtual environment and outside the checkout, the suite ``smoke`` and the README's own method run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = [".", *(f"plugins/{name}" for name in ("backbones", "weightings", "rmtl", "datasets"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
README_FILES = dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))


def main() -> None:
    """Check everything; the first thing that does not hold ends it."""
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    built = build(folder / "one", mask=0o022)
    again = build(folder / "a-second-copy", mask=0o077)
    for name, path in built.items():
        if digest(path) != digest(again[name]):
            sys.exit(f"{name}: two builds differ")
    print(f"{len(built)} archives, built twice, the same bytes:")
    for name, path in built.items():
        print(f"  {digest(path)}  {name}")
    run(sys.executable, "-m", "twine", "check", "--strict", *built.values())
    for path in built.values():
        look_into(path)
    try_wheels([path for path in built.values() if path.suffix == ".whl"], folder / "empty")


def build(folder: Path, mask: int) -> dict[str, Path]:
    """Return the archives of all distributions by name, built from a copy of what git tracks."""
    tree, built = folder / "tree", folder / "built"
    before = os.umask(mask)
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, tree)
    for distribution in DISTRIBUTIONS:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", built, tree / distribution, quiet=True)
    os.umask(before)
    archives = {path.name: path for path in sorted(built.iterdir())}
    if len(archives) != 2 * len(DISTRIBUTIONS):
        sys.exit(f"{len(archives)} archives of {len(DISTRIBUTIONS)} distributions: {', '.join(archives)}")
    return archives


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def look_into(path: Path) -> None:
    """End where an archive lacks what belongs in it, or holds what may not be given away."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        needed = [r"/py\.typed$", r"\.dist-info/licenses/LICENSE$", r"\.dist-info/entry_points\.txt$"]
    else:
        with tarfile.open(path) as archive:
            names = archive.getnames()
        needed = [r"/py\.typed$", r"^[^/]+/LICENSE$", r"^[^/]+/README\.md$", r"^[^/]+/pyproject\.toml$"]
    for pattern in needed:
        if not any(re.search(pattern, name) for name in names):
            sys.exit(f"{path.name} lacks {pattern}")
    for name in names:
        if re.search(r"(^|/)(results|\.git|__pycache__)/|^rmtl_bench-[^/]*/plugins/|retailrocket-part", name):
            sys.exit(f"{path.name} holds {name}")


def try_wheels(wheels: list[Path], folder: Path) -> None:
    """Install the wheels into a new virtual environment and run the suite ``smoke`` and the README's own method."""
    work = folder / "work"
    work.mkdir(parents=True)
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    core = [f"{wheel}[torch]" if wheel.name.startswith("rmtl_bench-") else str(wheel) for wheel in wheels]
    run(programs / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", *core)
    rmtl_bench = programs / "rmtl-bench"
    run(rmtl_bench, "doctor", work=work)
    run(rmtl_bench, "run", "--suite", "smoke", work=work)
    run(rmtl_bench, "leaderboard", "--suite", "smoke", work=work)
    for name, text in README_FILES.items():
        path = work / "my-methods" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    run(programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", work / "my-methods")
    run(rmtl_bench, "check", "my-methods", work=work)
    run(rmtl_bench, "run", "--suite", "my-methods/mine.toml", work=work)
    run(rmtl_bench, "leaderboard", "--suite", "my-methods/mine.toml", work=work)


def run(*command: object, work: Path = ROOT, quiet: bool = False) -> None:
    """Run a command in a folder; end with its output where it fails."""
    words = [str(word) for word in command]
    # A path to the checkout would let the wheels' tests pass without the wheels.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(  # noqa: S603 -- our own words
        words, cwd=work, env=environment, capture_output=quiet, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}\n{done.stdout or ''}{done.stderr or ''}")


if __name__ == "__main__":
    main()
