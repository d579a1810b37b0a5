"""Passwords, hashed with argon2id."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes and checks. OWASP's parameters (19 MiB, two passes); at most two at a time, which bounds the memory that
    a flood of logins can take."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._slots = threading.BoundedSemaphore(2)
        self._nobody = self.hash("nobody has this password")

    def hash(self, password: str) -> str:
        with self._slots:
            return self._hasher.hash(password)

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right. Without a hash (no such user) it takes as long and is False."""
        with self._slots:
            try:
                self._hasher.verify(password_hash if password_hash is not None else self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None
