"""Audits of data sets: near-duplicates, leaks and shifted classes."""
