"""Execution of runs: worker processes, Ray, leases and retries."""
