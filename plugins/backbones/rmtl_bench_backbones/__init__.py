"""Backbones of multi-task recommendation: single-task, shared-bottom, ESMM, MMoE and PLE."""
