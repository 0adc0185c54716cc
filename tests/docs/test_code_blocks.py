"""Every fenced block of the documentation works: what is typed runs, what is TOML is read, what is Python is executed.

The blocks of a page run in their order, in one folder, with a store of toy results under the names of the suites
that the pages show. A block below a line that holds nothing but a file's name in bold becomes that file. What cannot
run as it stands is in ``stand_ins.toml`` with its reason, and each of ``rmtl-bench``'s own commands is at least parsed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from markdown_it import MarkdownIt

from rmtl_bench.cli import main
from rmtl_bench.suites import read_suite
from rmtl_bench.training.settings import TrainerSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
STAND_INS = tomllib.loads(Path(__file__).with_name("stand_ins.toml").read_text(encoding="utf-8"))
IN_A_PROCESS = ("run", "check")
"""Commands that train: a process of their own each."""
WRITING = ("new", "suites")
"""Commands that leave files behind, which the rest of their page works on."""
SAID: dict[str, tuple[int, str, str]] = {}
"""What other commands said that take nothing from their page: every page begins with the same store, once is enough."""

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not in a source distribution")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the file that it is, if any."""

    page: str
    line: int
    language: str
    text: str
    file: str

    @property
    def name(self) -> str:
        return f"{self.page}: {self.text.partition(chr(10))[0]}"


def blocks_of(page: Path) -> list[Block]:
    found, before = [], ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "fence" and not token.info.startswith("{"):
            named = re.fullmatch(r"\*\*`([^`]+)`\*\*", before)
            found.append(Block(page.name, token.map[0] + 1, token.info, token.content, named[1] if named else ""))
        if token.type in ("inline", "fence"):
            before = token.content
    return found


BLOCKS = {page.name: blocks_of(page) for page in PAGES}


def typed(block: Block) -> Iterator[tuple[list[list[str]], list[str]]]:
    """Yield the commands of each line of a block that is typed, and the lines of output below it."""
    lines: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        prompt = re.match(r"\w*\$ ", line) if block.language == "console" else re.match("", line)
        if prompt:
            lines.append((line[prompt.end() :], []))
        else:
            assert lines, f"{block.name}: output comes first"
            lines[-1][1].append(line)
    for command, output in lines:
        if commands := split(command):
            yield commands, output


def split(line: str) -> list[list[str]]:
    """Return the words of each command of a shell's line, without settings of variables before it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(";&|"):
            commands.append([])
        elif commands[-1] or not re.match(r"[A-Z_]+=", word):
            commands[-1].append(word)
    return [words for words in commands if words]


def is_shown(block: Block) -> bool:
    return block.name in STAND_INS["shown"]


TYPED = [b for blocks in BLOCKS.values() for b in blocks if b.language in ("sh", "console") and not is_shown(b)]
COMMANDS = [shlex.join(words) for block in TYPED for commands, _ in typed(block) for words in commands]


def test_every_block_is_of_a_language_that_is_tested_or_is_declared():
    known = ("sh", "console", "toml", "python")
    undecided = [b.name for blocks in BLOCKS.values() for b in blocks if b.language not in known and not is_shown(b)]
    assert undecided == [], "give them a language, or declare them in stand_ins.toml under [shown]"


def test_nothing_is_declared_that_no_page_has():
    names = {b.name for blocks in BLOCKS.values() for b in blocks}
    declared = {*STAND_INS["instead"], *STAND_INS["not-run"]}
    assert sorted(declared - set(COMMANDS)) == []
    assert sorted(set(STAND_INS["shown"]) - names) == []


def test_every_command_of_ours_is_parsed():
    inside = re.findall(r"^(?:\w+\$ )?(rmtl-bench .*)$", "".join(b.text for b in _shown_scripts()), re.MULTILINE)
    for command in [*COMMANDS, *(shlex.join(split(line)[0]) for line in inside)]:
        words = shlex.split(command)
        if Path(words[0]).name == "rmtl-bench":
            try:
                parse(main.cli, "rmtl-bench", words[1:], None)
            except click.BadParameter as error:
                if "does not exist" not in error.message:  # a value may be a file that is not here
                    raise


def _shown_scripts() -> list[Block]:
    return [b for blocks in BLOCKS.values() for b in blocks if is_shown(b) and b.language == "bash"]


def parse(command: click.Command, name: str, words: list[str], parent: click.Context | None) -> None:
    """Have click parse a command and those below it, without calling any; an unknown name or option is an error."""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name, parent=parent)
        below, found, rest = command.resolve_command(context, list(words))
        assert found is not None
        parse(found, below or "", rest, context)
    else:
        command.make_context(name, list(words), parent=parent)


@pytest.fixture
def folder(tmp_path, shown_store, monkeypatch, clean_environment):
    """An empty folder of a user who has toy results, and works in it."""
    shutil.copytree(shown_store, tmp_path / "results" / "store")
    for name in [name for name in os.environ if name.startswith("RMTL_BENCH_")]:
        monkeypatch.delenv(name)
    for name in ("RMTL_BENCH_CACHE", "RMTL_BENCH_DATA"):
        monkeypatch.setenv(name, clean_environment[name])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [name for name, blocks in BLOCKS.items() if blocks])
@pytest.mark.usefixtures("folder")
def test_the_blocks_of_a_page_work(page):
    names: dict[str, object] = {"__name__": f"page_{page.removesuffix('.md')}"}
    for block in BLOCKS[page]:
        if is_shown(block):
            continue
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text, encoding="utf-8")
        if block.language == "toml":
            read_toml(block)
        elif block.language == "python":
            code = compile(block.text, f"{page}, line {block.line}", "exec")
            if not block.file:
                exec(code, names)  # noqa: S102 -- the documentation's own code
        else:
            type_in(block)


def read_toml(block: Block) -> None:
    document = tomllib.loads(block.text)
    if "grid" in document:
        path = Path(block.file or "suite.toml")
        path.write_text(block.text, encoding="utf-8")
        read_suite(path)
        if "sample" in document:
            read_suite(path, sample=True)
    elif set(document) == {"trainer"}:
        TrainerSettings.resolve(document["trainer"])


def type_in(block: Block) -> None:
    """Run the commands of a block; the output below one is what it says, ``...`` standing for more of it."""
    for commands, output in typed(block):
        for words in commands:
            said = run(words, block)
            if output and said is not None:
                assert [line for line in output if line not in (*said.splitlines(), "...")] == [], said


def run(words: list[str], block: Block) -> str | None:
    """Run a command, or what stands in for it, and return what it said, or ``None`` if it did not run as it stands."""
    command = shlex.join(words)
    if command in STAND_INS["not-run"]:
        for path in (Path(word.partition("[")[0]) for word in words[1:] if "/" in word):
            assert not (ROOT / path.parts[0]).is_dir() or (ROOT / path).exists(), f"{block.name}: {path}"
        return None
    if words[0] == "cd":
        os.chdir(words[1])
        return None
    given = STAND_INS["instead"].get(command)
    if given:
        words = shlex.split(given[0])
    elif words[:2] == ["rmtl-bench", "run"] and not any(word.endswith(".toml") for word in words):
        words, given = [*words, "--dry-run"], "--dry-run" not in words
    code, said, error = call(words)
    lacks = code == 4 and re.search(r"raw files are missing|nothing is prepared of", error) is not None
    assert code == 0 or lacks, f"{block.page}, line {block.line}: {command}\n{said}\n{error}"
    return None if given or lacks else said + error


def call(words: list[str]) -> tuple[int, str, str]:
    """Return exit code, output and errors of a command."""
    if words[0] == "rmtl-bench" and (words[1] not in IN_A_PROCESS or "--dry-run" in words):
        if words[1] in WRITING or any(Path(word).is_file() for word in words):
            return call_here(words)
        key = shlex.join(words)
        if key not in SAID:
            SAID[key] = call_here(words)
        return SAID[key]
    module = ["-m", "rmtl_bench.cli.main"] if words[0] == "rmtl-bench" else []
    assert words[0] in ("rmtl-bench", "python"), f"{words[0]!r} is not run: declare it in stand_ins.toml"
    arguments = [sys.executable, *module, *words[1:]]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def call_here(words: list[str]) -> tuple[int, str, str]:
    """Call a command in this process, as its entry point does."""
    said, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main.main()
    return int(ended.value.code or 0), said.getvalue(), errors.getvalue()
