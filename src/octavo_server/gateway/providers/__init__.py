"""Model providers: each a small value plus pure functions that speak its wire format.

A new provider is a module with a `Provider` value, and a line in `registry.py`.
"""
