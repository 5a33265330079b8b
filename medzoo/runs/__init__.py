"""The run: one training, its fields and the rules for their combinations."""
