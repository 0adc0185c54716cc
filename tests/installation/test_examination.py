from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.installation import Finding
from rmtl_bench.installation.examination import guarded

FINE = Finding("fine", "ok", "as it should be")


def test_what_was_found_before_a_part_breaks_down_is_kept():
    def part():
        yield FINE
        raise RuntimeError("of two\nlines")

    said = "could not be examined: RuntimeError: of two"
    assert guarded("part", part) == [FINE, Finding("part", "problem", said, code=1)]


def test_a_foreseen_error_keeps_its_words_and_its_code():
    def part():
        raise DataError("no room")

    assert guarded("part", part) == [Finding("part", "problem", "no room", code=4)]


@pytest.mark.parametrize(("state", "code"), [("ok", 1), ("problem", 0), ("fine", 0)])
def test_a_finding_is_a_problem_if_and_only_if_it_has_a_code(state, code):
    with pytest.raises(ValueError, match=r"state|code"):
        Finding("it", state, "said", code=code)
