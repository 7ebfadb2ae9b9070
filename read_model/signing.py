"""Texts that clients keep and bring back: what they hold is known to be ours, and to be about the same thing."""

import base64
import binascii
import hashlib
import hmac

MAC_BYTES = 16


class Signer:
    """Seals with a key (HMAC-SHA-256, 128 bits of it): whoever has the key can open what another has sealed."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)  # to begin with a key costs more than all that follows

    def seal(self, about: bytes, content: bytes) -> str:
        """The content as URL-safe text; it can be read by anyone, and made by nobody else."""
        return base64.urlsafe_b64encode(self._mac(about, content) + content).rstrip(b"=").decode()

    def open(self, about: bytes, text: str) -> bytes | None:
        """The content that was sealed about the same thing; None for any other text."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            return None
        mac, content = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
        return content if hmac.compare_digest(mac, self._mac(about, content)) else None

    def _mac(self, about: bytes, content: bytes) -> bytes:
        mac = self._keyed.copy()
        mac.update(len(about).to_bytes(4) + about + content)
        return mac.digest()[:MAC_BYTES]
