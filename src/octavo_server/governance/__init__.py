"""Layer 7, governance: principals, projects, keys, roles, the record of every change."""
