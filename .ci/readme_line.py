"""Print the N-th shell block of README.md, so that what is checked is what a reader copies."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def main() -> None:
    """Print block number ``sys.argv[1]``, counted from 1."""
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    print(blocks[int(sys.argv[1]) - 1], end="")


if __name__ == "__main__":
    main()
