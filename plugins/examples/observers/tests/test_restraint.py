"""What the observers leave alone: everything, unless they are asked for; a run's time, where nobody answers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rmtl_bench.contracts import UsageError
from rmtl_bench_observers import mlflow_runs, tensorboard_logs
from rmtl_bench_observers.patience import Patience

HEAVY = "{'torch', 'mlflow', 'tensorboard', 'duckdb', 'numpy'}"


@pytest.fixture
def observers(monkeypatch):
    """Both observers, asked for, in a process in which nothing was tried yet."""
    for observer in (mlflow_runs, tensorboard_logs):
        monkeypatch.setattr(observer, "_patience", Patience())
    monkeypatch.setenv(mlflow_runs.URI, "http://127.0.0.1:9")
    monkeypatch.setenv(tensorboard_logs.FOLDER, "/nowhere")
    return mlflow_runs, tensorboard_logs


def test_unless_asked_for_nothing_is_imported_and_nothing_done(monkeypatch):
    code = f"""
import sys
from rmtl_bench.plugins import load_plugins
host = load_plugins()
assert {{'mlflow', 'tensorboard'}} <= {{p.name for p in host.plugins if not p.error}}
host.notify('rmtl_suite_started', suite='s@1', cells=(), store=None)
host.notify('rmtl_run_started', cell=None)
host.notify('rmtl_epoch_finished', cell=None, record=None)
host.notify('rmtl_run_finished', cell=None, outcome=None)
host.notify('rmtl_suite_finished', suite='s@1', summary={{}})
print({HEAVY} & set(sys.modules))
"""
    for variable in (mlflow_runs.URI, tensorboard_logs.FOLDER):
        monkeypatch.delenv(variable, raising=False)
    # The server of other work is no wish.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_what_is_lacking_is_said_once_with_what_to_type(observers, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for observer, extra in zip(observers, ("mlflow", "tensorboard"), strict=True):
        arguments = {"suite": "s@1"} if observer is mlflow_runs else {}
        with pytest.raises(UsageError, match=rf"pip install 'rmtl-bench-observers\[{extra}\]'"):
            observer.rmtl_suite_started(**arguments)
        observer.rmtl_suite_started(**arguments)


def test_a_server_that_is_gone_is_given_up(observers, monkeypatch):
    pytest.importorskip("mlflow", reason="rmtl-bench-observers[mlflow] is not installed")
    from mlflow.exceptions import MlflowException

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for _ in range(3):
        with pytest.raises(MlflowException):
            mlflow_runs.rmtl_suite_started("s@1")
    mlflow_runs.rmtl_suite_started("s@1")


def test_a_success_forgets_the_failures_before_it():
    patience = Patience()
    for _ in range(2):
        with pytest.raises(OSError, match="gone"), patience.trying():
            raise OSError("gone")
    with patience.trying():
        pass
    with pytest.raises(OSError, match="gone"), patience.trying():
        raise OSError("gone")
    assert not patience.is_at_its_end
