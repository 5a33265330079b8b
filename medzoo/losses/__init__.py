"""Keras losses by kind of problem."""
