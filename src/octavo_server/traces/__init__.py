"""Layer 3, observability: spans in from anywhere, read back, measured."""
