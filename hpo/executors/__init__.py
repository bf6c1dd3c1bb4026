"""Executors start workers, here or elsewhere, and do nothing else."""
