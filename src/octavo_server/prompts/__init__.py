"""Prompts: versioned text and messages with what they are sent with; labels that point at versions."""
