"""Who made a generation: an HMAC-SHA256 (RFC 2104) under a key that only the panel holds.

What is signed is what a generation is (`Manifest.identity`): its store, VM, instant and name, the
roots of its disks and the digests of its small files, definition included. Pruning rewrites which
files it is made of, on a machine that has no key: those are proven by the roots, and not signed.
This module never travels to a host.
"""

import hashlib
import hmac
from enum import StrEnum

from labpanel.lib.store_format.manifest import Manifest, Signature
from labpanel.lib.store_format.spelling import canonical

_ABOUT = b"labpanel generation 1\0"  # nothing else that is ever signed begins like this


class SignatureVerdict(StrEnum):
    """What a manifest's signature says. NONE: there is none, or one under another panel's key."""

    OURS = "ours"
    NONE = "none"
    FORGED = "forged"


def key_id(key: bytes) -> str:
    """A name for a key, that tells nothing of it."""
    return hmac.new(key, b"labpanel key id", hashlib.sha256).hexdigest()[:16]


def sign(found: Manifest, key: bytes) -> Signature:
    """The signature of what a manifest says that the generation is."""
    message = _ABOUT + canonical(found.identity())
    return Signature(key_id(key), hmac.new(key, message, hashlib.sha256).hexdigest())


def signed(found: Manifest, key: bytes) -> Manifest:
    """The manifest with a signature, and sealed."""
    return found.signed(sign(found, key))


def judge(found: Manifest, key: bytes) -> SignatureVerdict:
    """Whether this panel signed what the manifest says now."""
    given, made = found.signature, sign(found, key)
    if given is None or given.key != made.key:
        return SignatureVerdict.NONE
    same = hmac.compare_digest(given.hmac, made.hmac)
    return SignatureVerdict.OURS if same else SignatureVerdict.FORGED
