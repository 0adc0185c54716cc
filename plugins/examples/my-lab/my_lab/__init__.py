"""A plugin of rmtl-bench: the backbone ``film`` and the data sets ``visits`` and ``visits-example``."""
