"""Summaries of datasets before anything trains: numbers, figures, a page."""
