"""Words of others (QEMU, libvirt, the kernel) inside a sentence of ours: in quotation marks, in one
line, so that it is plain who says what and where our sentence ends."""

from labpanel.lib.printable import printable

MOST = 500


def ended(sentence: str) -> str:
    """With a full stop if it has no end of its own, so that another sentence can follow."""
    said = sentence.rstrip()
    return said if said.endswith((".", "!", "?", '."', ".)")) or not said else f"{said}."


def quoted(text: str, most: int = MOST) -> str:
    """`"internal error: client socket is closed"`: without its own full stop, as ours comes after
    the closing mark; its lines are joined by "; ", its double marks become single ones."""
    lines = [line.strip().rstrip(".") for line in text.splitlines()]
    joined = "; ".join(line for line in lines if line)
    return f'"{printable(joined, most).replace(chr(34), chr(39))}"' if joined else "no reason"
