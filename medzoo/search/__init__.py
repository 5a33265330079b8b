"""Searches through KerasTuner, and the studies that prove them."""
