"""Images of made-up content, and the programs for hosts, run on this machine."""

import hashlib
import os
import random
import subprocess
from pathlib import Path

BLOCK = 256 * 1024


def fill(path: Path, blocks: int, seed: int, *, tail: int = 0) -> None:
    """A raw image whose blocks are, by chance, random, text, written zeros, or holes; `tail` more
    bytes at the end."""
    chance = random.Random(seed)
    with path.open("wb") as file:
        for _ in range(blocks):
            kind = chance.choice(["random", "text", "zeros", "hole", "half"])
            if kind == "hole":
                file.seek(BLOCK, os.SEEK_CUR)
            elif kind == "half":
                file.seek(BLOCK // 2, os.SEEK_CUR)
                file.write(chance.randbytes(BLOCK // 2))
            else:
                file.write(_content(kind, chance))
        file.truncate(blocks * BLOCK)
        file.seek(0, os.SEEK_END)
        file.write(chance.randbytes(tail))


def _content(kind: str, chance: random.Random) -> bytes:
    if kind == "random":
        return chance.randbytes(BLOCK)
    if kind == "zeros":
        return bytes(BLOCK)
    return (f"{chance.random()} the quick brown fox\n".encode() * BLOCK)[:BLOCK]


def identical(one: Path, other: Path) -> bool:
    """`qemu-img compare`: the same content as a guest sees it."""
    done = subprocess.run(
        ["qemu-img", "compare", "-q", str(one), str(other)], check=False, timeout=60
    )
    assert done.returncode in {0, 1}
    return done.returncode == 0


def digests_of(path: Path) -> list[bytes]:
    """The digests that a list of this raw image holds, computed here."""
    content = path.read_bytes()
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    return [hashlib.sha256(one).digest()[:16] if any(one) else bytes(16) for one in blocks]


def shell(*words: str | Path) -> str:
    """Run a tool of QEMU's; what it said."""
    done = subprocess.run(words, check=True, timeout=60, capture_output=True, text=True)
    return done.stdout
