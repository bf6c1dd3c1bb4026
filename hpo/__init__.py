"""Hyperparameter-optimization service for recurrent meta-learners."""

__version__ = "0.1.0"
