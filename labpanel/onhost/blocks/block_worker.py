"""What every thread does that works through a virtual disk: read some blocks, deal with each."""

from labpanel.lib.store_format.digests import BLOCK
from labpanel.onhost.blocks.connection import IoFailed, NbdConnection, Reader


class BlockWorker:
    """One thread of worker_pool.WorkerPool. `size` is the disk's in bytes; `target`, if there is
    one, is flushed at the end."""

    def __init__(self, size: int, source: Reader, target: "NbdConnection | None" = None) -> None:
        self.size, self.source, self.target = size, source, target

    def do(self, first: int, after: int) -> None:
        """Read the blocks [first, after) at once."""
        start = first * BLOCK
        try:
            data = self.source.read(self.length(first, after), start)
        except IoFailed as failed:
            self.unread(first, after, failed)
            return
        for block in range(first, after):
            self.block(block, data[block * BLOCK - start : (block + 1) * BLOCK - start])

    def block(self, block: int, data: memoryview) -> None:
        """Deal with what one block holds."""
        raise NotImplementedError

    def unread(self, first: int, after: int, failed: IoFailed) -> None:
        """Deal with blocks of which some cannot be read; this one ends the work."""
        raise failed.problem() from failed

    def one_by_one(self, first: int, after: int) -> None:
        """The same blocks one by one, to find those that cannot be read."""
        for block in range(first, after):
            self.do(block, block + 1)

    def length(self, first: int, after: int) -> int:
        """Bytes of the blocks [first, after); the disk may end within the last."""
        return min(after * BLOCK, self.size) - first * BLOCK

    def close(self) -> None:
        if self.target is not None:
            self.target.flush()
            self.target.close()
        self.source.close()
