"""In which folder the images of a restored VM lie."""

# ruff: noqa: F811 - fixtures that are imported are named by parameters

import uuid
from dataclasses import replace

import pytest
from django.utils import timezone

from backups.models import Generation
from hosts.models import VM, Host, VirtualDisk
from labpanel.jobs.states import State
from labpanel.lib.folder_room import FolderRoom
from tests.fakes.backing_up import FakeImages, Scene
from tests.services.test_restore import done, generation, scene  # noqa: F401 - fixtures


def has_image(name: str, source: str) -> None:
    """Another VM of beta's."""
    now = timezone.now()
    vm = VM.objects.create(
        uuid=uuid.uuid4(),
        name=name,
        host=Host.objects.get(name="beta"),
        state="shut off",
        first_seen_at=now,
        seen_at=now,
    )
    VirtualDisk.objects.create(vm=vm, target="vda", source=source, first_seen_at=now, seen_at=now)


def from_source(generation: Generation, source: str) -> None:
    made = generation.manifest
    generation.manifest = made.with_disks((replace(made.disks[0], source=source),))


def test_it_never_goes_into_the_folder_of_another_vm(scene: Scene, generation: Generation) -> None:
    from_source(generation, "/home/anna/home.qcow2")
    generation.save()
    has_image("win11", "/srv/win11/disk.qcow2")
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    assert job.result is not None
    # The scene's storage pool.
    assert job.result["disks"][0]["path"] == "/var/lib/libvirt/images/copy-vda.qcow2"


def test_it_goes_where_several_vms_have_their_images(scene: Scene, generation: Generation) -> None:
    from_source(generation, "/home/anna/home.qcow2")
    generation.save()
    for name in ("a", "b"):
        has_image(name, f"/srv/vms/{name}.qcow2")
    job = done(generation)
    assert job.result is not None
    assert job.result["disks"][0]["path"] == "/srv/vms/copy-vda.qcow2"


def test_a_host_without_a_folder_for_images_is_told_so(
    scene: Scene, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nearest(_: FakeImages, path: str) -> FolderRoom:
        return FolderRoom("/", 1 << 40, 1 << 40, 1, writable=True)

    monkeypatch.setattr(FakeImages, "room", nearest)
    job = done(generation)
    assert job.state == State.FAILED
    assert "beta has no folder for images that can be written to" in job.sentence
    assert "--path" in job.sentence


def test_a_folder_that_another_vm_has_for_itself_is_only_named(
    scene: Scene, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has room, and is the only one: its owner may choose it."""
    has_image("win11", "/srv/win11/disk.qcow2")

    def room(_: FakeImages, path: str) -> FolderRoom:
        free = 1 << 40 if path == "/srv/win11" else 1 << 20
        return FolderRoom(path, free, 1 << 41, 1, writable=True)

    monkeypatch.setattr(FakeImages, "room", room)
    job = done(generation)
    assert job.state == State.FAILED
    assert "choose another folder with --path, /srv/win11 say." in job.sentence


def test_the_only_folder_for_images_is_taken_and_said(
    scene: Scene, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_source(generation, "/dev/sdq")
    generation.save()
    has_image("web", "/srv/data/web.qcow2")

    def room(_: FakeImages, path: str) -> FolderRoom:
        there = path if path == "/srv/data" else "/"
        return FolderRoom(there, 1 << 40, 1 << 41, 1, writable=True)

    monkeypatch.setattr(FakeImages, "room", room)
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    assert "The images go to /srv/data, where web has images, too." in [
        line.text for line in job.lines.all()
    ]
