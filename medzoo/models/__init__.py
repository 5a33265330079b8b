"""The model zoo: one builder a file, and a registry of their names."""
