"""Choose the passphrase that opens copies of the panel."""

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

from labpanel.adapters.here import age
from labpanel.adapters.here.age import CopyKey
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.state import PanelState, write_key

# Who has a copy may try as many as he likes: scrypt makes each try cost a second (here/age.py).
LEAST = 12
MOST = 1024


def choose_passphrase(state: PanelState, passphrase: str) -> CopyKey:
    """Make the key for copies anew; those made before still open with the passphrase before.
    Raises Refusal for one that is too short or known everywhere."""
    if not LEAST <= len(passphrase) <= MOST:
        raise Refusal(f"The passphrase has {len(passphrase)} characters: {LEAST} are the least.")
    try:
        CommonPasswordValidator().validate(passphrase)
    except ValidationError as error:
        raise Refusal("The passphrase is one of those that are tried first.") from error
    key = age.make_key(passphrase)
    write_key(state.home, key)
    return key


def check_passphrase(key: CopyKey, passphrase: str) -> None:
    """Raises WrongPassphrase unless it is the chosen one."""
    age.open_key(key.sealed, passphrase)
