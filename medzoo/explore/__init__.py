"""A look at data before anything trains: numbers, figures, one page."""
