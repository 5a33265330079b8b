"""Kinds of objective: labels, several tasks, masks."""
