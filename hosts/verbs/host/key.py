"""`./panel host key`: the line for authorized_keys."""

from dataclasses import dataclass

from labpanel.adapters.ssh.openssh import public_key
from labpanel.lib.actor import Actor
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


@dataclass(frozen=True, slots=True)
class PublicKey:
    public_key: str


def _do(_: Actor, __: Nothing) -> str:
    return public_key()


def _as_json(line: str) -> PublicKey:
    return PublicKey(line)


VERBS = (
    Verb(
        "host key",
        "print the line for authorized_keys",
        Nothing,
        _do,
        _as_json,
        ApiRoute("GET", "key"),
        say,
    ),
)
