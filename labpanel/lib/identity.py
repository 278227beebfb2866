"""Whether two names stand for one machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What a machine says of itself, hashed; "" where it says nothing. `network` is its network
    stack since it was started."""

    machine: str = ""
    board: str = ""
    network: str = ""

    def same(self, other: "Identity") -> bool:
        """One network stack of one boot is one machine. So is one system id, which survives a
        restart, unless the boards differ: then a disk was copied, with its id, to another one."""
        if self.network and self.network == other.network:
            return True
        if not self.machine or self.machine != other.machine:
            return False
        return not (self.board and other.board and self.board != other.board)


UNKNOWN = Identity()
