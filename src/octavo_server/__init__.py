"""The Octavo platform: eight rooms over one data model, one gateway through them."""
