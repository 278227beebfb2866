"""What all made-up scenes have: the list of what was asked, calls that fail, and connections."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.shapes import Endpoint

Libvirt = TypeVar("Libvirt")


class Told(ABC, Generic[Libvirt]):
    """`asked` is what was said, in order; `fails["keeper.begin"] = error` makes that one call
    fail. `opened`, `private_machine` and `relayed` take the places of the adapters' own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: dict[str, BaseException] = {}

    @abstractmethod
    def libvirt(self) -> Libvirt:
        """The libvirt of any host."""

    def say(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fails:
            raise self.fails[name]

    @contextlib.contextmanager
    def opened(self, endpoint: Endpoint, channel: str = "main") -> Iterator[Libvirt]:
        yield self.libvirt()

    @contextlib.contextmanager
    def private_machine(self, endpoint: Endpoint, channel: str) -> Iterator[Machine]:
        yield Machine(endpoint, channel)

    @contextlib.contextmanager
    def relayed(self, origin: Machine, there: Machine, socket: str, folder: str) -> Iterator[str]:
        self.say("relay")
        yield socket
