"""What a restore meets is evidence: of the store that it reads, or of where it writes."""

import errno

import pytest

from backups.models import Generation
from hosts.models import Finding
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.states import State
from labpanel.lib.io_fault import Access, IoFault
from tests.fakes.backing_up import Scene
from tests.services.test_restore import KEY, done, generation, scene

__all__ = ["generation", "scene"]


@pytest.mark.parametrize(
    ("access", "kind", "words"),
    [
        (Access.READ, "store-error", f"could not read bytes 0–511 of {KEY}/vda.qcow2"),
        (Access.WRITE, "image-error", "beta could not write bytes 0–511 of /srv/images/"),
    ],
)
def test_what_fails_in_the_middle_is_evidence(
    scene: Scene, generation: Generation, access: Access, kind: str, words: str
) -> None:
    fault = IoFault(access, errno.EIO, "", 0, 512)
    scene.fails["mover.restore"] = ScriptRefused(str(access), "It failed.", fault, "beta")
    assert done(generation).state == State.FAILED
    found = Finding.objects.get(resolved_at=None)
    assert (found.kind, found.severity, found.where) == (kind, "bad", "beta")
    assert words in found.sentence


def test_a_restore_that_finds_no_room_is_no_evidence(scene: Scene, generation: Generation) -> None:
    fault = IoFault(Access.WRITE, errno.ENOSPC, "", 0, 512)
    scene.fails["mover.restore"] = ScriptRefused("full", "It is full.", fault, "beta")
    done(generation)
    assert not Finding.objects.exists()
