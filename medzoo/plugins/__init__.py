"""Models, losses and more that a user brings along: registered and checked."""
