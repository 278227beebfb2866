"""The mover of a backup's scene, in memory: reports half of the disk, then is through."""

import dataclasses
from collections.abc import Callable, Sequence

from labpanel.adapters.images.mover import Export, Moved, Saved, Tick
from labpanel.lib.hints import Hint
from tests.fakes.backing_up import ROOT, Fake, Scene
from tests.fakes.domains import SIZE


class FakeMover(Fake):
    """Mover: reports half of the disk, does what the scene says, and is through."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def ready(self) -> None:
        self._scene.say("mover.ready")

    def copy(self, source: Export, target: Export, *, on_progress: Callable[[Tick], None]) -> Moved:
        self._scene.during_copy()
        on_progress(Tick(SIZE // 2, SIZE))
        self._scene.say("mover.copy")
        return Moved(SIZE, SIZE, SIZE // 4, 0.5, ROOT)

    def flagged(self, source: Export, context: str) -> int | None:
        self._scene.say("mover.flagged")
        return self._scene.flagged_bytes

    def back_up(
        self,
        source: Export,
        target: Export,
        digests: Export,
        *,
        hint: Hint,
        plain: str = "",
        forced: Sequence[Sequence[int]] = (),
        bytes_per_second: int | None = None,
        root: str = "",
        on_progress: Callable[[Tick], None],
    ) -> Saved:
        scene = self._scene
        scene.during_copy()
        on_progress(Tick(SIZE // 2, SIZE))
        scene.say("mover.back_up")
        scene.saving.append((hint, [list(span) for span in forced], bytes_per_second))
        return dataclasses.replace(
            Saved(SIZE, SIZE, SIZE, SIZE // 4, 0.5, [], [], hinted=True, root=ROOT), **scene.saved
        )

    def restore(
        self, source: Export, target: Export, digests: str, *, on_progress: Callable[[Tick], None]
    ) -> Moved:
        self._scene.say("mover.restore")
        return Moved(SIZE, SIZE, SIZE // 4, 0.5, ROOT)
