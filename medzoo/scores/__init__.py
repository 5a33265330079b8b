"""NumPy scores of finished predictions."""
