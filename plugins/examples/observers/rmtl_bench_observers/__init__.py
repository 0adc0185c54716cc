"""Observers of rmtl-bench. Nothing is sent or written anywhere unless an environment variable asks for it."""
