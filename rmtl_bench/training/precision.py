"""The arithmetic of a backbone's forward pass, and with it of its backward pass: the trainer's setting ``precision``.

===========  =====================================================================================================
float32      every product of matrices in full float32
tf32         on a CUDA device, the factors of float32 products are rounded to the 10 bits of TF32, sums are float32;
             everywhere else, the same as ``float32``
bf16         ``torch.autocast``: the factors of products in the backbone's forward pass, and what they come to, are
             rounded to the 8 bits of bfloat16; sums are float32
===========  =====================================================================================================

Losses, metrics, weightings, critics, parameters and the optimizer's state are float32 under each. Under ``bf16``, seeds
side by side agree with a run on its own to the rounding of bfloat16 only: ``vmap`` adds a layer's bias by itself, in
float32, so that what their layers return is rounded at the next product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch


@dataclass(frozen=True)
class Precision:
    """One of the names in :data:`~rmtl_bench.training.settings.PRECISIONS`, and what it means."""

    name: str = "float32"

    @contextmanager
    def products(self, device: torch.device) -> Iterator[None]:
        """Within, float32 products of matrices are computed as the setting says; it holds for the whole process."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self.name == "tf32" and device.type == "cuda" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def logits(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return the backbone's logits [B, K], float32: its forward pass as a function."""
        if self.name != "bf16":
            logits: Tensor = backbone(batch)
            return logits
        with _bfloat16(batch):
            logits = backbone(batch)
        return logits.float()

    def represent(self, backbone: Backbone, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the logits [B, K], float32, and the shared representation as the forward pass made it, if any."""
        if self.name != "bf16":
            return backbone.represent(batch)
        with _bfloat16(batch):
            logits, representation = backbone.represent(batch)
        return logits.float(), representation


def _bfloat16(batch: Batch) -> torch.autocast:
    # Without its cache of weights that were rounded already: each is used once, and a CUDA graph must round anew.
    return torch.autocast(batch.labels.device.type, torch.bfloat16, cache_enabled=False)
