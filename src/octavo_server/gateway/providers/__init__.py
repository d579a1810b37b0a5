"""Model providers: each a small value plus pure functions that translate the wire format."""
