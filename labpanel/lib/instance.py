"""Which start of which panel a web process belongs to.

Each `./panel up` makes a token for its own processes, and believes an answer of /healthz only when
it carries that token's digest: another panel that took the port meanwhile is not taken for its own.
The digest does not reveal the token.
"""

import hashlib
import secrets

VARIABLE = "LABPANEL_INSTANCE"
FIELD = "instance"


def new_token() -> str:
    return secrets.token_hex(16)


def digest(token: str) -> str:
    """What /healthz says; "" for a web process that no supervisor started."""
    return hashlib.sha256(f"labpanel instance {token}".encode()).hexdigest()[:32] if token else ""
