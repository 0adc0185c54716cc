"""torch as a process sees it that is not this one: an import that crashes takes only itself down."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from rmtl_bench.contracts.wording import reason
from rmtl_bench.installation.finding import Finding

PATIENCE = 120.0
"""The most seconds that the import may take: the first one after an installation reads gigabytes."""

_ASK = """
import json, torch
devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
facts = {"version": torch.__version__, "cuda": torch.version.cuda, "devices": devices}
print(json.dumps(facts | {"threads": torch.get_num_threads()}))
"""


def _is_there() -> bool:
    try:
        return find_spec("torch") is not None
    except ImportError:
        # Something on the path forbids it.
        return False


def torch_build(_store_path: Path) -> Iterator[Finding]:
    """Yield what is found of torch, and of the CUDA devices that it sees."""
    if not _is_there():
        said = "not installed: everything but training works"
        yield Finding("torch", "note", said, "pip install 'rmtl-bench[torch]'")
        return
    again = "pip install --force-reinstall 'rmtl-bench[torch]'"
    try:
        done = subprocess.run(  # noqa: S603 -- our own words to our own interpreter
            [sys.executable, "-c", _ASK],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
        facts = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except subprocess.TimeoutExpired:
        yield Finding("torch", "problem", f"its import took more than {PATIENCE:.0f} s", again, 1)
        return
    except (OSError, ValueError, IndexError) as error:
        yield Finding("torch", "problem", f"could not be asked: {error}", again, 1)
        return
    if facts is None:
        why = reason(done.stderr.strip()) or f"its process ended with {done.returncode}"
        yield Finding("torch", "problem", f"cannot be imported: {why}", again, 1)
        return
    build = f"built for CUDA {facts['cuda']}" if facts["cuda"] else "built for CPUs alone"
    yield Finding("torch", "ok", f"{facts['version']}, {build}, {facts['threads']} threads")
    if facts["devices"]:
        yield Finding("CUDA", "ok", ", ".join(facts["devices"]))
    elif facts["cuda"]:
        yield Finding("CUDA", "note", "torch sees no device: runs go to the CPU", "nvidia-smi")
