"""Small files from anybody: a pipe does not hold up, a size is kept to, and JSON is what it seems."""

from __future__ import annotations

import json
import os

import pytest

from rmtl_bench.contracts.reading import DEEPEST, read_bytes, read_json


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_file_of_the_most_bytes_is_read_and_one_more_is_refused(file):
    assert read_bytes(file(b"x" * 10), 10) == b"x" * 10
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_bytes(file(b"x" * 11), 10)


def test_what_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match=r"no regular file|[Ii]s a directory"):
            read_bytes(path, 10)
    (tmp_path / "endless").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="no regular file"):
        read_bytes(tmp_path / "endless", 10)


def test_a_link_is_followed_only_where_it_may_be(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file(b"text"))
    assert read_bytes(link, 10) == b"text"
    with pytest.raises(OSError, match="it is a link"):
        read_bytes(link, 10, links=False)


def test_json_comes_back_as_it_was_written(file):
    data = {"a": [1, 2.5, None, True, "é"], "b": {"c": []}}
    assert read_json(file(json.dumps(data)), 1000) == data


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        (b"\xff\xfe", "can't decode"),
        ("[NaN]", "not finite"),
        ('{"a": {"b": 1e999}}', "not finite"),
        (nested(DEEPEST + 1), "levels deep"),
        (nested(50_000), "levels deep"),
        ("9" * 5000, "limit"),
    ],
)
def test_what_is_no_json_or_not_finite_or_too_deep_is_refused(file, text, reason):
    with pytest.raises(ValueError, match=reason):
        read_json(file(text), 1 << 20)


def test_as_deep_as_may_be_is_read(file):
    assert read_json(file(nested(DEEPEST)), 1000)


def test_half_a_surrogate_becomes_a_question_mark(file):
    assert read_json(file(r'{"a": "x\ud800y", "\uD801": 1}'), 1000) == {"a": "x?y", "?": 1}
    assert read_json(file(r'"\ud83d\ude00"'), 1000) == "\U0001f600"
