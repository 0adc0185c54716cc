"""The template of the runs' processes: it imports once what every run needs, and forks a process for each run.

``python -m rmtl_bench.execution.template fork|spawn [PLUGIN_FILE ...]``, a socket to the parent as standard input.
A Python that trains costs more than a second to start, nearly all of it imports; a fork of one that has them costs
milliseconds. The template stays fit for being forked: it has one thread, draws no random number, trains nothing and
never touches a GPU. Where a plugin's import makes it unfit, or it was told to ``spawn``, it starts a new Python for
every run instead. The compiler of torch is another second; it is imported once a run has turned out to need it.

The parent sends orders of one byte, each with the descriptors that the new process is to have:

- ``r``, a run, with :class:`~rmtl_bench.execution.process.ChildEnds`. Once the process leads a session, its ``pid``
  is told on the status pipe, and once it has ended, its exit ``code``, each as a line of JSON.
- ``d``, with one pipe: a process of its own counts the CUDA devices and writes the number there.

At the end of the socket, which is the parent's end too, the template exits. The runs have lifelines of their own.
What the imports print goes to the template's standard error, a file, and from there to the log of every run.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rmtl_bench.contracts.device import cuda_devices
from rmtl_bench.execution.process import ChildEnds

if TYPE_CHECKING:
    from rmtl_bench.plugins.host import PluginHost

Poll = Callable[[], int | None]
"""Returns the exit code of a process, minus the signal's number if one ended it; ``None`` while it runs."""

FORK, SPAWN = "fork", "spawn"
RUN, DEVICES = b"r", b"d"
_IMPORTED = (
    "torch",
    "numpy.ma",
    "numpy.random",
    "rmtl_bench.execution.environment",
    "rmtl_bench.execution.kept",
    "rmtl_bench.execution.run_cell",
    "rmtl_bench.execution.worker",
)
_COMPILER = "torch._dynamo"
_COMPILER_NEEDED = b"c"
_MOST_SAID = 1 << 20
_COUNT_DEVICES = "from rmtl_bench.contracts.device import cuda_devices; print(cuda_devices())"


class _Leaving:
    """The last exit handler of a process: leaves at once, since taking a Python with torch apart costs 0.2 seconds."""

    code = 1

    def __call__(self) -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(self.code)


def main() -> None:
    """Import what runs need, then obey the parent until it closes the socket."""
    leaving = _Leaving()
    # Registered first, it is called last: after the exit handlers of all that a run imports.
    atexit.register(leaving)
    mode, *files = sys.argv[1:]
    control = socket.socket(fileno=os.dup(0))
    host = _import_everything([Path(file) for file in files]) if mode == FORK else None
    Template(control, host, leaving, forks=mode == FORK and _is_fit()).serve()
    leaving.code = 0


def _import_everything(files: Sequence[Path]) -> PluginHost | None:
    """Import what every run imports, and load the plugins; ``None`` if that fails: a run meets it again, and tells."""
    # All that is imported stays: looking for garbage among it takes a tenth of the time, and would touch the memory
    # that forks share.
    gc.disable()
    try:
        for module in _IMPORTED:
            import_module(module)
        return import_module("rmtl_bench.plugins").load_plugins(files)  # type: ignore[no-any-return]
    except Exception:
        return None
    finally:
        # What these would clean up at the end of a process is the template's own, not a run's.
        for pending in list(weakref.finalize._registry):  # type: ignore[attr-defined]
            pending.atexit = False
        gc.freeze()


def _is_fit() -> bool:
    """Return whether this process may be forked: it has one thread, and no GPU knows it."""
    tasks = Path("/proc/self/task")
    torch = sys.modules.get("torch")
    threads = len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()
    return threads == 1 and not (torch is not None and torch.cuda.is_initialized())


class Template:
    """Starts processes as it is told and says how they ended. ``host``: what the runs need not load again."""

    def __init__(self, control: socket.socket, host: PluginHost | None, leaving: _Leaving, forks: bool) -> None:
        self.control = control
        self.host = host
        self.leaving = leaving
        self.forks = forks
        # By the descriptor where its end is to be told, what asks for the exit code of a process.
        self._running: dict[int, Poll] = {}
        self._wakeup, self._waker = os.pipe()
        self._compiler_needed = False

    def serve(self) -> None:
        """Obey until the socket ends."""
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self.control, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._wakeup in ready:
                    self._compiler_needed |= _COMPILER_NEEDED in os.read(self._wakeup, 4096)
                    if self._tell_ends() and self._compiler_needed:
                        self._import_compiler()
                if self.control.fileno() in ready and not self._obey():
                    return

    def _obey(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self.control, 1, len(ChildEnds._fields))
        if order == RUN:
            self._start(ChildEnds(*descriptors))
        elif order == DEVICES:
            self._count_devices(*descriptors)
        for descriptor in descriptors:
            if descriptor not in self._running:
                os.close(descriptor)
        return bool(order)

    def _start(self, ends: ChildEnds) -> None:
        try:
            pid, poll = self._fork() if self.forks else _spawn(ends)
        except OSError as error:
            # No memory for another process, say. The run has not begun, and its parent sees that it has ended.
            os.write(ends.log, f"its process could not be started: {error}\n".encode())
            return
        if not pid:
            self._become_run(ends)
        self._running[ends.status] = poll

    def _fork(self) -> tuple[int, Poll]:
        pid = os.fork()
        return pid, lambda: _exit_code(pid)

    def _count_devices(self, answer: int) -> None:
        if not self.forks:
            subprocess.run([sys.executable, "-P", "-c", _COUNT_DEVICES], stdout=answer, check=False)  # noqa: S603
        elif pid := os.fork():
            os.waitpid(pid, 0)
        else:
            try:
                os.write(answer, b"%d" % cuda_devices())
            finally:
                os._exit(0)

    def _tell_ends(self) -> bool:
        """Tell which processes have ended; return whether any has."""
        ended = {status: code for status, poll in self._running.items() if (code := poll()) is not None}
        for status, code in ended.items():
            _tell(status, code=code)
            os.close(status)
            del self._running[status]
        return bool(ended)

    def _import_compiler(self) -> None:
        # Not before the end of the run that has it already was told: its parent waits for that.
        self._compiler_needed = False
        with suppress(Exception):
            import_module(_COMPILER)
        gc.freeze()
        self.forks = self.forks and _is_fit()

    def _become_run(self, ends: ChildEnds) -> NoReturn:
        """Be what a new Python would be that was started with these descriptors, and make the run."""
        os.setsid()
        _tell(ends.status, pid=os.getpid())
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.write(ends.log, os.pread(2, _MOST_SAID, 0))
        for target, descriptor in enumerate((ends.lifeline, ends.events, ends.log)):
            os.dup2(descriptor, target)
        self.control.close()
        for descriptor in (*ends, *self._running, self._wakeup):
            os.close(descriptor)
        gc.enable()
        if (random := sys.modules.get("numpy.random")) is not None:
            # Every Python starts with another state, and so does every run.
            random.seed()
        known = _COMPILER in sys.modules
        try:
            import_module("rmtl_bench.execution.worker").main(self.host)
            self.leaving.code = 0
        except SystemExit as left:
            self.leaving.code = left.code if isinstance(left.code, int) else int(left.code is not None)
            raise
        if _COMPILER in sys.modules and not known:
            os.write(self._waker, _COMPILER_NEEDED)
        sys.exit()


def _spawn(ends: ChildEnds) -> tuple[int, Poll]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "rmtl_bench.execution.worker"],
        stdin=ends.lifeline,
        stdout=ends.events,
        stderr=ends.log,
        start_new_session=True,
    )
    _tell(ends.status, pid=process.pid)
    return process.pid, process.poll


def _exit_code(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _tell(status: int, **facts: int) -> None:
    # The parent may be gone.
    with suppress(BrokenPipeError):
        os.write(status, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    main()
