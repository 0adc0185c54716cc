"""First-party plugin of rmtl-bench."""
