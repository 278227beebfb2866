"""Room on the file system that holds the panel's own state. Pure."""

from dataclasses import dataclass

from labpanel.lib.units import size

# SQLite writes its log and its checkpoints, programs their logs: below this the next one fails.
FULL = 16 << 20
# A week of a small lab's samples and logs: time to make room before anything fails.
LOW = 256 << 20
OK, NEARLY, NONE = "ok", "almost full", "full"


@dataclass(frozen=True, slots=True)
class PanelRoom:
    """`free_bytes` is what the panel may still write, `total_bytes` the file system's size."""

    free_bytes: int
    total_bytes: int

    @property
    def word(self) -> str:
        if self.free_bytes < FULL:
            return NONE
        # A small file system made for the panel alone is not "almost full" when it is new.
        return NEARLY if self.free_bytes < min(LOW, self.total_bytes // 10) else OK

    @property
    def sentence(self) -> str:
        """Empty while there is room."""
        if self.word == NONE:
            return (
                "The disk of the panel's machine is full: the panel cannot save anything. What was "
                "saved is not touched, and the panel goes on when there is room."
            )
        if self.word == NEARLY:
            return (
                f"The disk of the panel's machine is almost full: {size(self.free_bytes)} are left "
                "for the panel."
            )
        return ""
