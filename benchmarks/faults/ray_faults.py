"""A fault of a cluster: a node of it is killed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from benchmarks.faults.scene import Scene

_NODE: Mapping[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
_WATCH = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}
"""A lost node is missed within seconds, and not within a minute."""


class RayNodes:
    """Three Ray nodes on this machine, each for one run at a time; closed, none of it is left."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        from ray.cluster_utils import Cluster

        # What the nodes inherit, the runs on them do too.
        os.environ.update(environment)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        head = {**_NODE, "include_dashboard": False, "_system_config": _WATCH}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._others: list[Any] = []
        self.complete()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def complete(self) -> None:
        """Put new nodes in the place of those that were killed."""
        while len(self._others) < 2:
            self._others.append(self._cluster.add_node(**_NODE))
        self._cluster.wait_for_nodes()

    def kill_node(self, scene: Scene) -> str:
        """SIGKILL of all processes of a node that is not the head."""
        if scene.command.is_over:
            return "too late"
        node = self._others.pop(scene.random.randrange(len(self._others)))
        self._cluster.remove_node(node, allow_graceful=False)
        return f"{len(scene.published())} runs there"

    def close(self) -> None:
        self._cluster.shutdown()
