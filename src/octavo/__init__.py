"""Octavo: what an application imports (client SDK and CLI)."""
