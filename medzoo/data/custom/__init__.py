"""Custom data: folders, CSV files and archives -> the same `Dataset` as all."""
