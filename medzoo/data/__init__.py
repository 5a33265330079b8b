"""Data sources: official files, synthetic images and custom data."""
