"""Suite files from strangers: refused in one line, before time or memory goes."""

from __future__ import annotations

import os

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.suites import read_suite
from rmtl_bench.suites.documents import CELLS, LARGEST


def refusal(path):
    with pytest.raises(UsageError) as refused:
        read_suite(path)
    message = str(refused.value)
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 2_000
    return message


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "file.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# Without its limit, the second would take a quarter of an hour.
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#" * (LARGEST + 1), "more than 262,144 bytes"),
        ("a." * 100_000 + "a = 1", "line 1 has more than 64 dots"),
        ("a = " + "[" * 5_000, "too deep"),
        ("a = " + "{a = " * 5_000, "too deep"),
        ("a = " + "9" * 5_000, "limit"),
        (b"a = '\xff'", "can't decode"),
        (b"\xef\xbb\xbfname = 'a'", "Invalid"),
        ("name = 'a\x00'", "invalid character"),
        ('"\\u001b[2J" = 1', "characters that can be seen"),
        (f"{'k' * 500} = 1", "characters that can be seen"),
    ],
)
def test_what_is_no_suite_file_of_anybodys_making_is_refused(file, text, reason):
    assert reason in refusal(file(text))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    assert "no regular file" in refusal(tmp_path / "pipe.toml")


@pytest.mark.parametrize("name", ["../../up", "/etc/passwd", "two\\nlines", "\\u001b[31mred", "", "x" * 101])
def test_a_name_that_is_no_name_of_a_file_is_refused(edited, name):
    assert "'name'" in refusal(edited('name = "toy"', f'name = "{name}"'))


def test_a_grid_of_more_cells_than_may_be_is_refused_before_it_is_expanded(file):
    names = ", ".join(f'"n{number}"' for number in range(400))
    kinds = ("datasets", "backbones", "weightings")
    tables = "\n".join(f"[{kind}.n{number}]" for kind in kinds for number in range(400))
    grid = f"[[grid]]\ndatasets = [{names}]\nbackbones = [{names}]\nweightings = [{names}]"
    assert f"more than {CELLS:,} cells" in refusal(file(f'schema = 1\nname = "big"\nseeds = 1\n{tables}\n{grid}'))


def test_names_that_stand_twice_in_a_grid_count_once(edited):
    many = ", ".join(['"toy-equal"'] * 10_000)
    path = edited('weightings = ["toy-equal", "toy-mgda"]', f"weightings = [{many}]", "seeds = 3", "seeds = 100")
    suite = read_suite(path)
    assert suite.seeds == 100
