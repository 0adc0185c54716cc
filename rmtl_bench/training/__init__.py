"""Training: stages, steps, early stopping and the random streams that pair runs by seed."""
