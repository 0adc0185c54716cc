"""The result store: run folders, which are the truth, and a DuckDB index made from them."""
