"""Texts for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench.contracts.wording import duration, printable, reason

CHAIN = """Traceback (most recent call last):
  File "a.py", line 1, in f
ValueError: the first

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 2, in g
    raise Error
    ^^^^^^^^^^^
package.Error: the cause
and more of it
"""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CHAIN, "package.Error: the cause"),
        ("killed by SIGKILL\n" + CHAIN, "killed by SIGKILL"),
        ("\n\nnot started", "not started"),
        ("Traceback (most recent call last):\n  cut short", "  cut short"),
        ("", ""),
        ("\n", ""),
    ],
)
def test_the_reason_is_the_line_that_says_what_went_wrong(error, line):
    assert reason(error) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a \x1b[31mred\x1b[0m word", "a red word"),
        ("\x1b]0;a title\x07x\x1b]8;;http://a\x1b\\y", "xy"),
        ("\x1b[2J\x1b[Hcleared\x1bc", "cleared"),
        ("\x9b31mred", "red"),
        ("bell\x07 back\x08 zero\x00 del\x7f", "bell back zero del"),
        ("one\r\ntwo\rthree", "one\ntwothree"),
        ("\tif x:", "    if x:"),
        ("turned \u202e round \u2066", "turned  round "),
        ("a\u2028b\u200bc", "abc"),
        ("[red]<script>&amp;[/]", "[red]<script>&amp;[/]"),
        ("Ünï → 中 ✓", "Ünï → 中 ✓"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_left(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_a_printable_text_stays_as_it_is(text):
    once = printable(text)
    assert printable(once) == once
    assert all(c == "\n" or c.isprintable() for c in once)
