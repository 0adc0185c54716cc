"""What the columns of a session table mean: fields, vocabulary sizes and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """A binary label to predict.

    ``parent`` names the task whose event must have happened first (pay -> click). A task with a parent
    is labelled with the *joint* event, so its label never exceeds its parent's (CTCVR, not CVR).
    """

    name: str
    parent: str | None = None
    description: str = ""


@dataclass(frozen=True)
class CategoricalField:
    """A categorical column with ids in ``[0, size)``; id 0 is the out-of-vocabulary id."""

    name: str
    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"field {self.name!r} has size {self.size}; it needs at least 1")


@dataclass(frozen=True)
class Schema:
    """Fields and tasks of a data set, in the order of the table's columns."""

    categorical: tuple[CategoricalField, ...]
    numerical: tuple[str, ...]
    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        columns = [f.name for f in self.categorical] + list(self.numerical)
        names = [t.name for t in self.tasks]
        for what, values in (("field", columns), ("task", names)):
            twice = {v for v in values if values.count(v) > 1}
            if twice:
                raise ValueError(f"{what} names stand twice: {', '.join(sorted(twice))}")
        if not names:
            raise ValueError("a schema needs at least one task")
        if not columns:
            raise ValueError("a schema needs at least one field")
        for position, task in enumerate(self.tasks):
            if task.parent is not None and task.parent not in names[:position]:
                raise ValueError(f"task {task.name!r} has parent {task.parent!r}, which is no earlier task")

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks, in column order."""
        return tuple(t.name for t in self.tasks)

    def parent_index(self, task: int) -> int | None:
        """Return the column of the parent of the task in column ``task``, or ``None``."""
        parent = self.tasks[task].parent
        return None if parent is None else self.task_names.index(parent)

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON-ready data."""
        return {
            "categorical": [[f.name, f.size] for f in self.categorical],
            "numerical": list(self.numerical),
            "tasks": [[t.name, t.parent, t.description] for t in self.tasks],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Return the schema that :meth:`to_json` wrote."""
        return cls(
            tuple(CategoricalField(*f) for f in data["categorical"]),
            tuple(data["numerical"]),
            tuple(Task(*t) for t in data["tasks"]),
        )
