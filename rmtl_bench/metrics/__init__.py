"""Metrics: one task's predictions on the test split in, one number out."""
