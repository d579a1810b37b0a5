"""Datasets and runs in the control store; the contents of cases are parts of the object store."""
