"""The catalogue of this distribution; imports no torch."""
