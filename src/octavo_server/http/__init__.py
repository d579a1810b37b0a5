"""The HTTP server: route table, errors, authentication, wiring, console files."""
