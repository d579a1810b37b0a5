"""Evaluation: what is scored, by which evaluator, and whether a difference between two releases is real."""
