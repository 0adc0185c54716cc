"""What a run keeps, from a stranger: numbers and names, or one line that says why not."""

from __future__ import annotations

import json
import os

import pytest
import torch

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.execution import kept
from rmtl_bench.execution.kept import read_kept, write_kept


def headed(header):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


FOREIGN = {
    "empty": b"",
    "a header of all memory": (2**62).to_bytes(8, "little") + b"{}",
    "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "a tensor that is not there": headed({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}),
    "tensors that overlap": headed({k: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for k in "ab"}) + b"1234",
    "a shape of other size": headed({"a": {"dtype": "F32", "shape": [5], "data_offsets": [0, 4]}}) + b"1234",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_file_that_lies_is_one_line_that_names_it(tmp_path, content):
    path = tmp_path / "kept.safetensors"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"kept\.safetensors") as refused:
        read_kept(path, "0" * 16)
    assert "\n" not in str(refused.value)


def test_a_pipe_a_link_and_a_file_beyond_the_limit_are_not_opened(tmp_path, monkeypatch):
    path = tmp_path / "kept.safetensors"
    write_kept(path, {"a": torch.ones(3)})
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    assert torch.equal(read_kept(path, "0" * 16)["a"], torch.ones(3))
    monkeypatch.setattr(kept, "LARGEST", 10)
    for place in (path, tmp_path / "link", tmp_path / "pipe"):
        with pytest.raises(StoreError, match="regular file of at most"):
            read_kept(place, "0" * 16)
