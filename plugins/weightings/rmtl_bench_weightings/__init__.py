"""Loss weightings: fixed, uncertainty, random and dynamic weight average."""
