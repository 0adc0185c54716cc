"""Backbones of multi-task recommendation: one module each, and the feature interactions that stand before them."""
