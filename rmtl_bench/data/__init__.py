"""Session tables: checked, stored, prepared once. The classes are in the modules; nothing is imported here."""
