"""What an attacker would write: values, damage to documents, damage to bytes; as strategies of hypothesis."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hypothesis import strategies as st

_DEEPEST, _WIDEST = 8, 20

Document = Any
"""Mappings, lists and scalars, as JSON and TOML hold them."""

HOSTILE_TEXTS = (
    "",
    " ",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "two\nlines",
    "\x00",
    "\ud800",
    "\u202eback",
    "../../../../tmp/escaped",
    "/etc/passwd",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "'; DROP TABLE runs; --",
    "\\input{/etc/passwd}",
    "%s{0}$x",
    "nan",
    "1e999",
    "x" * 5_000,
    "*",
    "*/*",
    "[a-",
    "fixed",
    "mmoe",
    "ok",
    "1970-01-01T00:00:00",
)
HOSTILE_NUMBERS = (0, -1, 1, 2, 10_000, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**18, 10**40, 10**400)
HOSTILE_BYTES = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b'"',
    b"'",
    b",",
    b"[" * 3_000,
    b"{a=" * 900,
    b"9" * 5_000,
    b"a." * 2_000,
    b'"""',
    b"\\ud800",
    b"1e999",
    b"nan",
    b"-inf",
    b"0" * 200_000,
    b"\x1b[2J",
    b"\xed\xa0\x80",
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(HOSTILE_NUMBERS),
    st.integers(-5, 300),
    st.floats(),
    st.sampled_from(HOSTILE_TEXTS),
    st.text(max_size=12),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(HOSTILE_TEXTS), inner, max_size=3),
    max_leaves=6,
) | st.integers(50, 500).map(lambda depth: _nested(depth))


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def _places(document: Document, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(document, (dict, list)):
        entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in entries:
        # Of a list of thousands, its beginning is as good as any of it; what is nested by damage needs no more.
        if len(path) < _DEEPEST and (isinstance(key, str) or key < _WIDEST):
            yield from _places(value, (*path, key))


def _within(document: Document, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@st.composite
def damaged(draw: Callable[..., Any], document: Document, most: int = 3) -> Document:
    """A document with some of its values replaced, removed, doubled, exchanged or called otherwise."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        places = list(_places(document))
        if not places:
            break
        *parents, key = draw(st.sampled_from(places))
        parent = _within(document, tuple(parents))
        action = draw(st.sampled_from(("replace", "replace", "remove", "repeat", "exchange", "rename", "add")))
        if action == "replace":
            parent[key] = draw(values)
        elif action == "remove":
            del parent[key]
        elif action == "repeat":
            parent[key] = [parent[key]] * draw(st.sampled_from((1, 2, 300)))
        elif action == "exchange":
            parent[key] = copy.deepcopy(_within(document, draw(st.sampled_from(places))))
        elif isinstance(parent, dict):
            value = parent[key] if action == "add" else parent.pop(key)
            parent[draw(st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=8))] = value
    return document


@st.composite
def damaged_bytes(draw: Callable[..., Any], content: bytes, most: int = 3) -> bytes:
    """Bytes with some of them changed, cut out, repeated, cut off, or with others put between them."""
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.sampled_from((1, 1, 4, 40, 400))))
        action = draw(st.sampled_from(("change", "cut out", "repeat", "cut off", "insert")))
        if action == "change":
            content = content[:at] + draw(st.binary(max_size=8)) + content[end:]
        elif action == "cut out":
            content = content[:at] + content[end:]
        elif action == "repeat":
            content = content[:end] + content[at:end] * draw(st.sampled_from((1, 2, 200))) + content[end:]
        elif action == "cut off":
            content = content[:at]
        else:
            content = content[:at] + draw(st.sampled_from(HOSTILE_BYTES)) + content[at:]
    return content


def to_json(document: Document) -> bytes:
    """Return a document as JSON, with what JSON has not (NaN, half surrogates) as Python writes it."""
    return json.dumps(_writable(document), indent=1).encode()


def _writable(document: Document) -> Document:
    if isinstance(document, dict):
        return {str(key): _writable(value) for key, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [_writable(value) for value in document]
    return document


def to_toml(document: dict[str, Document]) -> bytes:
    """Return a document as TOML, its tables inline."""
    lines = [f"{_toml(str(key))} = {_toml(value)}" for key, value in document.items() if value is not None]
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def _toml(value: Document) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(element) for element in value if element is not None) + "]"
    # A date of TOML's own.
    return str(value)
