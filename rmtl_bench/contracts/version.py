"""The version of this distribution; apart, since what imports it must not draw in the whole package."""

from __future__ import annotations

__version__ = "0.1.0"
