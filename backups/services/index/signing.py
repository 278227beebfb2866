"""This panel's signature on its generations: made when one is written, or once it was read back."""

import logging

from backups.models import Generation
from backups.services.index.identity import manifest_key
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.store.keeper import Keeper
from labpanel.lib.store_format import signature
from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.store_format.signature import SignatureVerdict

log = logging.getLogger(__name__)


def judged(found: Manifest) -> SignatureVerdict:
    return signature.judge(found, manifest_key())


def signed(found: Manifest) -> Manifest:
    """A manifest with this panel's signature."""
    return signature.signed(found, manifest_key())


def sign_read(generation: Generation, keeper: Keeper, found: Manifest) -> None:
    """Sign a generation whose every block was read and is as its manifest `found` says. A store
    that takes no writes keeps its unsigned manifest: the panel's own copy has the signature."""
    if judged(found) is SignatureVerdict.OURS and generation.trust == Generation.Trust.SIGNED:
        return
    whole = signed(found)
    if judged(found) is not SignatureVerdict.OURS and whole.signature is not None:
        try:
            uuid, key = str(generation.vm_uuid), generation.key
            keeper.sign(uuid, key, whole.signature, found.identity_digest)
        except AdapterError as error:
            log.info("the signature of %s stays with the panel: %s", key, error.sentence)
    generation.manifest, generation.trust = whole, Generation.Trust.SIGNED
    generation.save(update_fields=["manifest", "trust"])
