"""Encryption in the age format (age-encryption.org/v1), so that a copy opens without labpanel too.

A copy of the panel is encrypted to a key pair. Its secret half is kept encrypted with the owner's
passphrase alone, so that the panel can make copies every day and read none of them.
"""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyrage

from labpanel.adapters.errors import AdapterError, Refused

# scrypt takes 128 · 8 · 2^work bytes: 2^20 is 1 GiB. pyrage itself chooses what takes one second.
MOST_WORK = 20
SEALED_BYTES = 16 * 1024
_WORK = re.compile(rb"age-encryption\.org/v1\n-> scrypt [A-Za-z0-9+/]{22} ([1-9][0-9]?)\n")
_BEGIN, _END = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
_ERRORS = (pyrage.DecryptError, pyrage.EncryptError, pyrage.IdentityError, pyrage.RecipientError)


class WrongPassphrase(Refused):
    """The passphrase does not open this key."""


# rage times scrypt before it opens a key, and refuses what would take it 16 times as long as the
# second that making it took (age's scrypt.rs): a machine that is slow, or was busy just then.
TRIES = 3
_TOO_MUCH = "xcessive work"
_BUSY = (
    "This machine is too slow, or has too much to do just now, to open the key of this copy: try "
    "again when it is idle, or open it on another machine with the program age (RECOVER.txt in the "
    "copy says how)."
)


@dataclass(frozen=True, slots=True)
class CopyKey:
    """`recipient` ("age1…") encrypts; it is kept private too, because who knows it can make a
    file that looks like a copy. `sealed` is the secret half, encrypted with the passphrase, as the
    text that `age -i` takes."""

    recipient: str
    sealed: str


def make_key(passphrase: str) -> CopyKey:
    """A new key pair. Takes a second and up to 1 GiB of memory (scrypt)."""
    identity = pyrage.x25519.Identity.generate()
    text = f"{identity}\n".encode()
    sealed = pyrage.passphrase.encrypt(text, passphrase, armored=True)
    return CopyKey(str(identity.to_public()), sealed.decode("ascii"))


def check_recipient(recipient: str) -> None:
    """Raises Refused unless it is the public half of a key."""
    try:
        pyrage.x25519.Recipient.from_str(recipient)
    except _ERRORS as error:
        raise Refused("The key for copies of the panel is damaged.", str(error)) from error


def open_key(sealed: str, passphrase: str) -> str:
    """The secret half. Raises WrongPassphrase, or Refused if it is no such key, or this machine has
    too much to do for it."""
    work = _WORK.match(_head(sealed))
    if work is None or int(work[1]) > MOST_WORK:
        raise Refused("The key in this copy is not one that labpanel made.")
    text = _unsealed(sealed.encode("ascii"), passphrase)
    return str(text.decode("ascii", "replace")).strip()


def _unsealed(sealed: bytes, passphrase: str, tries: int = TRIES) -> bytes:
    try:
        return bytes(pyrage.passphrase.decrypt(sealed, passphrase))
    except pyrage.DecryptError as error:
        if _TOO_MUCH not in str(error):
            raise WrongPassphrase("The passphrase does not open this copy.", str(error)) from error
        if tries > 1:
            return _unsealed(sealed, passphrase, tries - 1)
        raise Refused(_BUSY, str(error)) from error


def encrypt(source: Path, target: Path, recipient: str) -> None:
    """Raises Refused for a damaged key, OSError where reading or writing fails."""
    check_recipient(recipient)
    pyrage.encrypt_file(str(source), str(target), [pyrage.x25519.Recipient.from_str(recipient)])


def decrypt(source: BinaryIO, target: BinaryIO, identity: str) -> None:
    """Raises Refused if it was not encrypted to this key or is not whole. What is in `target` then
    means nothing: the end of a truncated file is only found out at its end."""
    try:
        pyrage.decrypt_io(source, target, [_identity(identity)])
    except _ERRORS as error:
        raise _not_whole(error) from error
    except OSError as error:
        if error.errno is None:  # pyrage's own word for an authentication that failed
            raise _not_whole(error) from error
        raise


def _not_whole(error: Exception) -> AdapterError:
    return Refused("This copy is damaged or incomplete: it cannot be decrypted.", str(error))


def _identity(identity: str) -> "pyrage.x25519.Identity":
    try:
        return pyrage.x25519.Identity.from_str(identity)
    except _ERRORS as error:
        raise Refused("The key in this copy is not one that labpanel made.", str(error)) from error


def _head(sealed: str) -> bytes:
    """The start of an armored file, decoded; empty if it is none."""
    lines = sealed.strip().splitlines()
    if len(sealed) > SEALED_BYTES or len(lines) < 3 or (lines[0], lines[-1]) != (_BEGIN, _END):
        return b""
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError:
        return b""
