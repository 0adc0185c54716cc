"""Faults of processes: killed, interrupted, stopped for a while, two at once."""

from __future__ import annotations

import signal
import time

from benchmarks.faults.commands import Command, kill
from benchmarks.faults.scene import Scene


def kill_command(scene: Scene) -> str:
    """SIGKILL of the command."""
    return _signalled(scene, signal.SIGKILL)


def interrupt(scene: Scene) -> str:
    """SIGINT, as Ctrl-C sends it, to the command and all of its process group."""
    return _signalled(scene, signal.SIGINT)


def interrupt_twice(scene: Scene) -> str:
    """SIGINT, and again shortly after."""
    said = _signalled(scene, signal.SIGINT)
    time.sleep(scene.random.random() * 0.3)
    scene.command.signal(signal.SIGINT)
    return said


def terminate(scene: Scene) -> str:
    """SIGTERM of the command."""
    return _signalled(scene, signal.SIGTERM)


def kill_run(scene: Scene) -> str:
    """SIGKILL of the process of one run."""
    return _some_run(scene, signal.SIGKILL)


def kill_template(scene: Scene) -> str:
    """SIGKILL of the process that the runs are forked from."""
    while not scene.command.is_over:
        template = scene.command.template()
        if template is not None and kill(template, signal.SIGKILL):
            return "killed"
        time.sleep(0.005)
    return "too late"


def stop_command(scene: Scene) -> str:
    """SIGSTOP of the command for a while, in some rounds with another command meanwhile, in some for ever."""
    how = scene.random.choice(("goes on", "another meanwhile", "killed"))
    if scene.command.is_over:
        return "too late"
    scene.command.signal(signal.SIGSTOP)
    if how == "another meanwhile":
        scene.run()
    time.sleep(0.5 + 1.5 * scene.random.random())
    scene.command.signal(signal.SIGKILL if how == "killed" else signal.SIGCONT)
    return how


def stop_run(scene: Scene) -> str:
    """SIGSTOP of the process of one run for a while."""
    stopped: list[int] = []
    said = _some_run(scene, signal.SIGSTOP, stopped)
    time.sleep(0.5 + 1.5 * scene.random.random())
    for pid in stopped:
        kill(pid, signal.SIGCONT)
    return said


def kill_one_of_two(scene: Scene) -> str:
    """SIGKILL of one of two commands that were started together."""
    other = scene.begun[1]
    killed: Command = scene.random.choice((scene.command, other))
    killed.signal(signal.SIGKILL)
    return "the first" if killed is scene.command else "the second"


def _signalled(scene: Scene, number: int) -> str:
    if scene.command.is_over:
        return "too late"
    scene.command.signal(number)
    return f"{len(scene.published())} runs there"


def _some_run(scene: Scene, number: int, found: list[int] | None = None) -> str:
    if not scene.command.runs():
        # It was not yet at its runs: to strike the first at once would always strike it before it has begun.
        while not (scene.command.is_over or scene.command.runs()):
            time.sleep(0.002)
        time.sleep(scene.random.random() * 0.5)
    while not scene.command.is_over:
        runs = scene.command.runs()
        if runs and kill(pid := scene.random.choice(runs), number):
            if found is not None:
                found.append(pid)
            return "done"
        time.sleep(0.002)
    return "too late"
