"""Nouns everyone shares: digest, ids, money, events, errors, clock. No I/O."""
