"""A backup of a VM whose disks are not plain images: refused with the reason, or kept with it."""

from dataclasses import replace

import pytest

from backups.models import Generation, Store
from hosts.models import VM, Finding
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.states import State
from labpanel.lib.source_facts import ImageFacts
from tests.fakes.backing_up import Scene
from tests.fakes.domains import SIZE
from tests.services.test_back_up import done, scene, store, vm  # noqa: F401 - fixtures

LUKS = "<encryption format='luks'><secret type='passphrase' uuid='u'/></encryption>"
SLICE = "<slices><slice type='storage' offset='1048576' size='4194304'/></slices>"
SOURCE = "<source file='/srv/images/home.qcow2'/>"


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(
    ("inside", "said"),
    [(LUKS, "vda of home is encrypted, and QEMU has its key"), (SLICE, "part of a larger file")],
)
def test_nothing_is_read_of_what_cannot_be_kept_as_it_is(
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    inside: str,
    said: str,
    *,
    active: bool,
) -> None:
    scene.active = active
    whole = SOURCE.replace("/>", f">{inside}</source>")
    scene.definition = scene.definition.replace(SOURCE, whole)
    job = done(vm, store)
    assert job.state == State.FAILED
    assert said in job.sentence
    assert not Generation.objects.exists()
    assert not {"backup_begin", "images.serve", "keeper.begin"} & set(scene.asked)


@pytest.mark.parametrize("active", [True, False])
def test_the_copy_says_what_it_does_not_hold(
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    *,
    active: bool,
) -> None:
    scene.active = active
    scene.image = ImageFacts(
        (1, SIZE, 5, 5), corrupt=("/srv/b",), inside=("before-upgrade",), inside_count=1
    )
    scene.definition = scene.definition.replace(
        "</devices>",
        "<disk type='file' device='disk'><source file='/srv/images/ro-b.img'/>"
        "<target dev='vdb'/><readonly/></disk><disk type='network' device='cdrom'>"
        "<source protocol='https' name='x.iso'><host name='192.0.2.9'/></source>"
        "<target dev='hdc'/></disk></devices>",
    )
    job = done(vm, store)
    assert job.state == State.DONE, job.detail
    found = Generation.objects.get().left_out
    assert found is not None
    assert [(one["kind"], one["subject"]) for one in found] == [
        ("read-only-disk", "vdb (/srv/images/ro-b.img)"),
        ("medium", "hdc (https://192.0.2.9/x.iso)"),
        ("corrupt-flag", "vda"),
        ("internal-snapshot", "before-upgrade of vda"),
    ]
    said = " ".join(line.text for line in job.lines.all())
    assert "The snapshot before-upgrade of vda is not in this copy" in said
    assert "QEMU has marked the image of vda as corrupt" in said


def test_a_corrupt_mark_is_a_finding_until_a_backup_sees_none(
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
) -> None:
    well = scene.image
    scene.image = replace(well, corrupt=("/srv/images/home.qcow2",))
    assert done(vm, store).state == State.DONE
    finding = Finding.objects.get(resolved_at=None)
    assert (finding.host, list(finding.vms.all())) == (vm.host, [vm])
    assert finding.sentence.startswith(
        "QEMU has marked the image of vda of home as corrupt (/srv/images/home.qcow2)."
    )
    assert done(vm, store).state == State.DONE
    assert Finding.objects.filter(resolved_at=None).count() == 1
    scene.image = well
    assert done(vm, store).state == State.DONE
    assert not Finding.objects.filter(resolved_at=None).exists()


def test_a_backup_that_breaks_tells_of_the_mark_all_the_same(
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
) -> None:
    scene.image = replace(scene.image, corrupt=("/srv/base.qcow2",))
    scene.fails["keeper.serve_bytes"] = ScriptRefused("broke", "x")
    assert done(vm, store).state == State.FAILED
    assert "(/srv/base.qcow2)" in Finding.objects.get(resolved_at=None).sentence
