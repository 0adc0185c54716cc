from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.run_request import RunRequest

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_VALUE = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXT,
    st.lists(st.integers()).map(tuple),
)
_COMPONENT = st.builds(
    Component, _TEXT, _TEXT, st.integers(1, 9), _TEXT, _TEXT, st.dictionaries(_TEXT, _VALUE, max_size=3)
)
_CELL = st.builds(
    Cell,
    _COMPONENT,
    _TEXT,
    _COMPONENT,
    _COMPONENT,
    st.dictionaries(_TEXT, _VALUE, max_size=2),
    st.lists(_TEXT, max_size=2).map(tuple),
    st.integers(0, 9),
    _TEXT,
)


@settings(deadline=None, max_examples=50)
@given(_CELL, _TEXT, st.booleans())
def test_a_request_is_one_line_that_reads_back_as_itself(cell, name, keep):
    source = None if keep else Path("/runs") / name
    files = (Path(f"/plug in/{name}x.py"),)
    request = RunRequest(cell, Path("/table"), Path("/staging") / name, "cuda:1", 2, files, keep, source, profile=keep)
    line = request.to_line()
    assert "\n" not in line
    assert "\r" not in line
    again = RunRequest.from_line(line)
    assert again == request
    assert again.cell.run_id == cell.run_id
