"""Who asks for something: a user, the machine's owner on its terminal, a policy, or the panel."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class ActorKind(StrEnum):
    USER = "user"
    TERMINAL = "terminal"
    POLICY = "policy"
    PANEL = "panel"


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is the account's, the policy's, or what a person on the terminal calls themself; of
    the panel, what made it ask, or empty."""

    kind: ActorKind
    name: str = ""

    @classmethod
    def user(cls, name: str) -> Self:
        return cls(ActorKind.USER, name)

    @classmethod
    def policy(cls, name: str) -> Self:
        return cls(ActorKind.POLICY, name)

    def __str__(self) -> str:
        """As a job, a hold and an exclusion store it."""
        return f"policy {self.name}" if self.kind is ActorKind.POLICY else self.name


PANEL = Actor(ActorKind.PANEL)
TERMINAL = Actor(ActorKind.TERMINAL, "the command line")
