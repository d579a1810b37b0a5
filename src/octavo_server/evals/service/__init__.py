"""The verbs of evaluation: datasets, and runs over them."""
