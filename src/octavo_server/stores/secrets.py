"""Encryption at rest: AES-256-GCM under one master key, each text bound to the context it was sealed for."""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from octavo_server.core.errors import OctavoError

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"


class SecretUnreadable(OctavoError):
    """A sealed text was made with another master key, for another context, or was altered."""

    code = "secret_unreadable"

    def __init__(self) -> None:
        super().__init__(
            "a stored secret cannot be decrypted: this server's master key is not the one it was stored under. "
            "Bring the old secret.key or OCTAVO_SECRET_KEY back (a backup made with --with-secret-key holds it)"
        )


class MasterKeyInvalid(OctavoError):
    """The master key is not 32 bytes in base64, or its file cannot be read."""

    code = "master_key_invalid"


class SecretBox:
    """Seals and opens small secrets. What was sealed for one context does not open in another, so a row's ciphertext
    cannot be moved to a row that shows more."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise MasterKeyInvalid(f"the master key has {len(key)} bytes, expected {_KEY_BYTES}")
        self._cipher = AESGCM(key)

    @classmethod
    def open_or_create(cls, path: Path, *, given: str = "") -> SecretBox:
        """The box of the master key `given` (base64), else of the one in the file `path`, made there when there is
        none. Raises MasterKeyInvalid."""
        if given:
            return cls(_decode(given, "OCTAVO_SECRET_KEY"))
        return cls(_decode(_read_or_create(path), str(path)))

    def seal(self, plain: bytes, context: str) -> bytes:
        """`plain`, encrypted; never twice the same."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for `context`. Raises SecretUnreadable."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(nonce) != _NONCE_BYTES:
            raise SecretUnreadable
        try:
            return self._cipher.decrypt(nonce, body, context.encode())
        except InvalidTag:
            raise SecretUnreadable from None


def _decode(text: str, source: str) -> bytes:
    try:
        key = b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise MasterKeyInvalid(f"{source}: expected {_KEY_BYTES} random bytes in base64 (openssl rand -base64 32)")
    return key


def _read_or_create(path: Path) -> str:
    """The key file's text. Made aside and linked into place, so that of two processes starting at once both read the
    same key, and a crash leaves none or a whole one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return path.read_text()
