"""The control API as typed calls: `types`, `calls` and `async_calls` are made from `openapi.json`."""
