"""NumPy scores of finished predictions, and one table of their names."""
