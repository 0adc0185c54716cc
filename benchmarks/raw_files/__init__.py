"""Synthetic raw files in the official formats and at the official sizes, to measure preparation without the data."""
