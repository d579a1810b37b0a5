"""Layer 4, cost control: prices, connections to providers, routes, cost per call."""
