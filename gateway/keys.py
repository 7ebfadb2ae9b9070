"""The key that cursors and consistency tokens are signed with: set, or made once and kept in the store."""

import hashlib
import secrets

import msgspec

from gateway.settings import Settings
from read_model.signing import Signer
from store import Conflict, ContainerSpec, Create, OutcomeUnknown, Store

KEYS = ContainerSpec(name="keys", partition_key="purpose")
"""By purpose: a key that every process on this store uses."""
SIGNING = "signing"


class KeyDocument(msgspec.Struct, frozen=True):
    """A key, in hexadecimal digits."""

    id: str
    purpose: str
    key: str


async def open_signer(store: Store, settings: Settings) -> Signer:
    """The signer of all processes that are set alike, or that share the store. Raises StoreError."""
    if settings.signing_key is not None:
        return Signer(hashlib.sha256(settings.signing_key.get_secret_value().encode()).digest())
    container = store.container(KEYS.name)
    while (found := await container.read(SIGNING, SIGNING)) is None:
        made = KeyDocument(SIGNING, SIGNING, secrets.token_hex(32))
        try:
            await container.commit(SIGNING, [Create(SIGNING, made)])
        except (Conflict, OutcomeUnknown):
            continue
    return Signer(bytes.fromhex(found.decode(KeyDocument).key))
