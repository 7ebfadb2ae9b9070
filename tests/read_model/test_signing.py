"""What was sealed with a key is opened by who has it, and nothing else is."""

import base64
import hashlib
import hmac

import pytest

from read_model.signing import Signer

KEY = bytes(range(32))


def test_a_seal_is_the_first_half_of_an_hmac() -> None:
    mac = hmac.digest(KEY, b"\x00\x00\x00\x05about" + b"content", hashlib.sha256)[:16]
    assert Signer(KEY).seal(b"about", b"content") == base64.urlsafe_b64encode(mac + b"content").rstrip(b"=").decode()


def test_what_was_sealed_is_opened_by_another_who_has_the_key() -> None:
    sealed = Signer(KEY).seal(b"about", b"content")
    signer = Signer(KEY)
    assert [signer.open(b"about", sealed) for _ in range(2)] == [b"content"] * 2


@pytest.mark.parametrize("about", [b"something else", b"abou"])
def test_what_is_about_something_else_is_not_opened(about: bytes) -> None:
    assert Signer(KEY).open(about, Signer(KEY).seal(b"about", b"content")) is None


def test_what_was_changed_or_sealed_by_another_key_is_not_opened() -> None:
    sealed = Signer(KEY).seal(b"about", b"content")
    other = Signer(KEY[::-1]).seal(b"about", b"content")
    for text in ("A" + sealed[1:], sealed[:-1], other, "", "?", "ä"):
        assert Signer(KEY).open(b"about", text) is None
