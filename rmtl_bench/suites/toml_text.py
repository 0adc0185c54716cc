"""Names and values as a suite file has them, for what writes one."""

from __future__ import annotations

import json
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(name: str) -> str:
    """Return a name as a key of TOML, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else toml_value(name)


def toml_value(value: Any) -> str:
    """Return a text, a finite number, a truth value or a list of such: written in TOML as in JSON."""
    return json.dumps(value, ensure_ascii=False)
