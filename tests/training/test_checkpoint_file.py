"""The file of a checkpoint: what is written is read, and nothing that was not."""

from __future__ import annotations

import json
import os
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rmtl_bench.training import checkpoint_file
from rmtl_bench.training.checkpoint_file import CheckpointError, read, write

CPU = torch.device("cpu")
IDENTITY = {"run": "a", "format": "1"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state"


def test_the_last_checkpoint_stays_when_the_next_cannot_be_written(path, monkeypatch):
    write(path, IDENTITY, {"number": 1})

    def broken(tensors, aside, metadata):
        aside.write_bytes(b"half")
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(checkpoint_file, "save_file", broken)
    with pytest.raises(CheckpointError, match="Input/output error"):
        write(path, IDENTITY, {"number": 2})
    assert read(path, IDENTITY, CPU) == {"number": 1}
    assert [found.name for found in path.parent.iterdir()] == [path.name]


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from([torch.float64, torch.bool, CPU]),
    st.builds(
        lambda shape, dtype: torch.arange(8).to(dtype)[: shape[0] * shape[1]].reshape(shape).T,
        st.sampled_from([(0, 3), (1, 1), (2, 3)]),
        st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]),
    ),
    st.just(torch.tensor(3.5)),
)
STATES = st.dictionaries(
    st.text() | st.integers(),
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=10,
    ),
)


@settings(max_examples=50)
@given(state=STATES)
def test_a_state_is_read_as_it_was_written(state, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "state"
    write(path, IDENTITY, state)
    found = read(path, IDENTITY, CPU)
    # As text, since NaN is not equal to itself.
    assert repr(found) == repr(state)


@given(place=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans())
def test_a_file_that_is_not_as_it_was_written_is_refused(place, bits, cut, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "mangled"
    write(path, IDENTITY, {"numbers": torch.arange(9.0), "text": ["a", 1.5, None]})
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place] ^= bits
    path.write_bytes(content[:place] if cut else content)
    # What is changed may be a blank, with which the header is padded: then it is as it was.
    with suppress(CheckpointError):
        assert repr(read(path, IDENTITY, CPU)) == repr({"numbers": torch.arange(9.0), "text": ["a", 1.5, None]})


def test_tensors_that_share_memory_are_each_its_own_when_read(path):
    whole = torch.arange(6.0)
    write(path, IDENTITY, {"whole": whole, "part": whole[2:4], "again": whole})
    found = read(path, IDENTITY, CPU)
    found["whole"].zero_()
    assert found["part"].tolist() == [2, 3]
    assert found["again"].tolist() == whole.tolist()


def test_a_tensor_is_named_once(path):
    write(path, IDENTITY, {"one": torch.zeros(3), "two": torch.zeros(3)})
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()["rmtl-bench checkpoint"])
    parts = content["state"]["dict"]
    parts[1][1] = parts[0][1]
    text, tensors = json.dumps(content), load_file(path)
    # The checksum is no secret: a stranger can make it.
    save_file(tensors, path, {"rmtl-bench checkpoint": text, "crc32": checkpoint_file._checksum(text, tensors)})
    with pytest.raises(CheckpointError, match="damaged"):
        read(path, IDENTITY, CPU)


def test_more_text_than_a_checkpoint_may_have_is_neither_written_nor_read(path, monkeypatch):
    state = {"text": "a" * 1000}
    write(path, IDENTITY, state)
    monkeypatch.setattr(checkpoint_file, "MOST_JSON", 900)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read(path, IDENTITY, CPU)
    with pytest.raises(CheckpointError, match="characters, more than 900"):
        write(path, IDENTITY, state)


def test_a_pipe_is_not_waited_for(path):
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="no regular file"):
        read(path, IDENTITY, CPU)
