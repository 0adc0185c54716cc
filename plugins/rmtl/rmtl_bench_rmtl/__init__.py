"""RMTL, reinforcement-learned loss weighting, its controls, and the suites that put it to the test."""
