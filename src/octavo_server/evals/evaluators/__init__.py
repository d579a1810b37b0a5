"""Deterministic evaluators: a spec is compiled once, then scores samples as a pure function.

Compiling a spec that cannot be meant raises `Invalid`. Scoring never raises: what cannot be scored (a missing
reference, an output that is no number) comes back as a failed score, or as a missing one when the *case* lacks what the
evaluator needs. Missing is not failed: it keeps a gate from passing, and is never taken for the model's fault."""

from octavo_server.evals.evaluators.registry import Evaluator, compile_evaluator

__all__ = ["Evaluator", "compile_evaluator"]
