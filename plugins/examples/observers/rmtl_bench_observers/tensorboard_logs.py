"""Runs in TensorBoard: one log folder for every run of a suite, below the folder that ``RMTL_BENCH_TENSORBOARD`` names.

Without that variable nothing here does anything. A run's log lies in ``DATASET/BACKBONE/WEIGHTING/seed-N-RUN_ID``. The
run's own process writes each epoch, the main process adds the test metrics and how the run ended: the same folder, a
file each. The page ``HPARAMS`` has a row for every method, its seeds as sessions.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmtl_bench import hookimpl
from rmtl_bench.contracts.cell import Cell, EpochRecord, Outcome
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.wording import reason
from rmtl_bench_observers.facts import measured_of, parameters_of, plain, values_of
from rmtl_bench_observers.patience import Patience

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "RMTL_BENCH_TENSORBOARD"

_OF_A_SEED = ("seed", "run_id")
_patience = Patience()
_writers: dict[str, SummaryWriter] = {}
"""In a run's process: the open logs by run id. Several, where seeds are trained side by side."""


@hookimpl
def rmtl_suite_started() -> None:
    """See at once whether TensorBoard is installed."""
    if _is_wanted():
        with _patience.trying():
            _require_tensorboard()


@hookimpl
def rmtl_run_started(cell: Cell) -> None:
    """Begin the log with what decides the run's numbers."""
    if _is_wanted():
        with _patience.trying():
            _writers[cell.run_id] = _begin(cell)


@hookimpl
def rmtl_epoch_finished(cell: Cell, record: EpochRecord) -> None:
    """Write the losses and the validation values of the epoch."""
    if _is_wanted() and (writer := _writers.get(cell.run_id)) is not None:
        with _patience.trying():
            for name, value in values_of(record).items():
                writer.add_scalar(name, value, record.epoch)
            # No hook is called at the end of this process, which may also be killed.
            writer.flush()


@hookimpl
def rmtl_run_finished(cell: Cell, outcome: Outcome) -> None:
    """Add the test metrics and how the run ended."""
    if _is_wanted():
        with _patience.trying():
            # There is one already where the executor makes runs in this very process.
            writer = _writers.pop(cell.run_id, None) or _begin(cell)
            try:
                _end(writer, outcome)
            finally:
                writer.close()


def folder_of(cell: Cell) -> Path:
    """Return the log folder of a run."""
    parts = [plain(component.label) for component in (cell.dataset, cell.backbone, cell.weighting)]
    return Path(os.environ[FOLDER]).joinpath(*parts, f"seed-{cell.seed}-{cell.run_id}")


def _is_wanted() -> bool:
    return bool(os.environ.get(FOLDER)) and not _patience.is_at_its_end


def _require_tensorboard() -> None:
    # Not imported: the main process may never need it, and with it comes torch.
    from importlib.util import find_spec

    if find_spec("tensorboard") is None:
        _patience.give_up()
        missing = "tensorboard is lacking: pip install 'rmtl-bench-observers[tensorboard]'"
        raise UsageError(f"{FOLDER} is set, and {missing}")


def _begin(cell: Cell) -> SummaryWriter:
    """Open a run's log, which gets the parameters if it is new."""
    _require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    folder = folder_of(cell)
    is_new = not folder.exists()
    writer = SummaryWriter(str(folder))
    if is_new:
        # Not through ``hparams.api``, which imports TensorFlow.
        from tensorboard.plugins.hparams import summary_v2

        # Without what differs from seed to seed, the seeds of a method are one trial, whose sessions are averaged.
        given = {name: value for name, value in parameters_of(cell).items() if name not in _OF_A_SEED}
        plainly = {
            name: value if isinstance(value, (bool, int, float)) else str(value) for name, value in given.items()
        }
        _write(writer, summary_v2.hparams_pb(plainly))
        writer.flush()
    return writer


def _end(writer: SummaryWriter, outcome: Outcome) -> None:
    for name, value in {**measured_of(outcome.folder), "seconds": outcome.seconds}.items():
        writer.add_scalar(name, value, 0)
    writer.add_text("status", outcome.status, 0)
    if outcome.error:
        writer.add_text("error", reason(outcome.error), 0)
    _write(writer, _end_of_session(outcome.status == "ok"))


def _write(writer: Any, summary: Any) -> None:
    # The method for hyperparameters that a SummaryWriter has makes a log folder of its own for every call.
    writer.file_writer.add_summary(summary)


def _end_of_session(is_well: bool) -> Any:
    """Return what the page ``HPARAMS`` reads a run's end from; TensorBoard's own helper for it needs TensorFlow."""
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if is_well else api_pb2.STATUS_FAILURE
    data = plugin_data_pb2.HParamsPluginData(session_end_info=plugin_data_pb2.SessionEndInfo(status=status))
    summary = summary_pb2.Summary()
    summary.value.add(
        tag=metadata.SESSION_END_INFO_TAG, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
    return summary
