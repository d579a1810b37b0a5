"""The corridor: OpenAI- and Anthropic-compatible calls pass the rooms in order."""
