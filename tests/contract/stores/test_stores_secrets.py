"""What is sealed opens with the same key and in the same context, and not otherwise."""

from __future__ import annotations

import stat
import threading
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.stores.secrets import MasterKeyInvalid, SecretBox, SecretUnreadable

KEY = bytes(range(32))


@given(plain=st.binary(), context=st.text())
def test_what_was_sealed_opens(plain: bytes, context: str) -> None:
    box = SecretBox(KEY)
    sealed = box.seal(plain, context)
    assert SecretBox(KEY).open(sealed, context) == plain
    assert box.seal(plain, context) != sealed


@given(plain=st.binary(), position=st.integers(0, 200), bit=st.integers(0, 7))
def test_an_altered_text_does_not_open(plain: bytes, position: int, bit: int) -> None:
    box = SecretBox(KEY)
    sealed = bytearray(box.seal(plain, "a"))
    sealed[position % len(sealed)] ^= 1 << bit
    with pytest.raises(SecretUnreadable):
        box.open(bytes(sealed), "a")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01short", b"\x02" + bytes(40)])
def test_rubbish_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SecretUnreadable, match="master key"):
        SecretBox(KEY).open(sealed, "a")


def test_another_key_or_context_does_not_open() -> None:
    sealed = SecretBox(KEY).seal(b"plain", "connection con_1")
    with pytest.raises(SecretUnreadable):
        SecretBox(KEY).open(sealed, "connection con_2")
    with pytest.raises(SecretUnreadable):
        SecretBox(KEY[::-1]).open(sealed, "connection con_1")


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    sealed: list[bytes] = []

    def start() -> None:
        sealed.append(SecretBox.open_or_create(path).seal(b"plain", "a"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    box = SecretBox.open_or_create(path)
    assert [box.open(one, "a") for one in sealed] == [b"plain"] * 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["secret.key"]


def test_a_given_key_wins_and_leaves_no_file(tmp_path: Path) -> None:
    box = SecretBox.open_or_create(tmp_path / "secret.key", given=b64encode(KEY).decode())
    assert SecretBox(KEY).open(box.seal(b"plain", "a"), "a") == b"plain"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given_key", ["hunter2", "c2hvcnQ=", "größe"])
def test_a_wrong_key_is_refused_without_being_shown(tmp_path: Path, given_key: str) -> None:
    with pytest.raises(MasterKeyInvalid, match="OCTAVO_SECRET_KEY: expected 32 random bytes") as caught:
        SecretBox.open_or_create(tmp_path / "secret.key", given=given_key)
    assert given_key not in caught.value.message
