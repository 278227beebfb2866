"""Only what the panel made is removed, and only as it made it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from backups.models import InstantRun, MadeVM
from backups.selectors.restore.made import made_vm
from backups.services.index import note_made as note_making
from backups.services.index.note_made import note_made
from backups.services.made_vms import remove_vm as service
from backups.services.made_vms.ask_remove_vm import RemovalRequest, ask_remove
from backups.services.made_vms.remove_vm import remove_vm, settle
from hosts.models import VM, Host, VirtualDisk
from hosts.services.inventory import inventory
from labpanel.adapters.errors import Refused, Unreachable
from labpanel.jobs import ledger, work
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.refusal import Refusal
from tests.fakes.backing_up import FakeImages, Scene
from tests.fakes.hypervisor import FakeLibvirt

UUID, OTHER = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
CLONE = "77777777-2222-4333-8444-555555555555"
IMAGE, NVRAM = "/srv/images/copy-vda.qcow2", "/var/lib/libvirt/qemu/nvram/copy_VARS.fd"
BOTH = RemovalRequest(images=True, typed="copy")


@pytest.fixture
def scene() -> Scene:
    made = Scene(UUID)
    made.files = {IMAGE, NVRAM, "/srv/images/home.qcow2"}
    return made


@pytest.fixture
def libvirt(db: None, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> FakeLibvirt:
    made = FakeLibvirt()
    monkeypatch.setattr(service, "opened", made.opened)
    monkeypatch.setattr(service, "ImageHost", lambda _: FakeImages(scene))
    monkeypatch.setattr(inventory, "pool", made)
    made.put("beta", UUID, "copy", "shut off", {"vda": IMAGE})
    made.put("beta", OTHER, "home", "running", {"vda": "/srv/images/home.qcow2"})
    return made


@pytest.fixture
def beta(libvirt: FakeLibvirt, scene: Scene) -> Host:
    """beta with home, and copy as a restore left it."""
    host = Host.objects.create(name="beta", target="root@beta", seen_at=timezone.now())
    inventory.take_inventory(host, timezone.now())
    asked = {"name": "copy", "uuid": UUID, "is_copy": True, "generation": "20261122T231500Z-abc123"}
    job = Job.objects.create(kind="restore", title="Restore", parameters=asked)
    assert note_made(job, host, images(scene), [IMAGE, NVRAM]) == ""
    return host


def images(scene: Scene) -> Any:
    return FakeImages(scene)


def copy() -> VM:
    return VM.objects.select_related("host").get(uuid=UUID)


def done(wish: RemovalRequest, before: Callable[[], object] = lambda: None) -> Job:
    job = ask_remove(copy(), wish)
    before()
    work.perform(job.pk, remove_vm)
    job.refresh_from_db()
    return job


def nothing_happened(scene: Scene, libvirt: FakeLibvirt) -> None:
    assert {IMAGE, NVRAM} <= scene.files
    assert UUID in {one["uuid"] for one in libvirt.hosts["beta"]}
    assert MadeVM.objects.count() == 1
    assert "destroy" not in [name for _, name, _ in libvirt.asked]


def test_definition_images_and_row_go(beta: Host, libvirt: FakeLibvirt, scene: Scene) -> None:
    job = done(BOTH)
    assert job.state == State.DONE, job.detail
    assert job.result is not None
    assert job.result["removed"] == [IMAGE, NVRAM]
    assert scene.files == {"/srv/images/home.qcow2"}
    assert [one["name"] for one in libvirt.hosts["beta"]] == ["home"]
    assert [vm.name for vm in VM.objects.all()] == ["home"]
    assert not MadeVM.objects.exists()
    assert job.sentence.startswith("copy is removed from beta, and 2 files with it")


def test_without_the_word_the_images_stay(beta: Host, libvirt: FakeLibvirt, scene: Scene) -> None:
    job = done(RemovalRequest())
    assert job.state == State.DONE, job.detail
    assert {IMAGE, NVRAM} <= scene.files
    assert f"{IMAGE} and {NVRAM} stay there" in job.sentence


@pytest.mark.parametrize(("wish", "kept"), [(RemovalRequest(), True), (BOTH, False)])
def test_the_tpm_goes_only_with_the_images(
    beta: Host, libvirt: FakeLibvirt, scene: Scene, wish: RemovalRequest, kept: bool
) -> None:
    done(wish)
    [asked] = [said for _, name, said in libvirt.asked if name == "undefine"]
    assert asked["keep_tpm"] is kept


@pytest.mark.parametrize("typed", ["", "Copy", "home", "copy2", UUID])
def test_images_need_the_name(beta: Host, libvirt: FakeLibvirt, scene: Scene, typed: str) -> None:
    with pytest.raises(Refusal, match="type its name, copy"):
        ask_remove(copy(), RemovalRequest(images=True, typed=typed))
    nothing_happened(scene, libvirt)


def test_one_that_is_no_trial_needs_its_name_in_any_case(
    beta: Host, libvirt: FakeLibvirt, scene: Scene
) -> None:
    MadeVM.objects.update(is_copy=False)
    with pytest.raises(Refusal, match="copy is not a trial"):
        ask_remove(copy(), RemovalRequest())
    nothing_happened(scene, libvirt)
    assert done(RemovalRequest(typed="copy")).state == State.DONE
    assert {IMAGE, NVRAM} <= scene.files


def test_what_the_panel_did_not_make_is_left_alone(beta: Host, libvirt: FakeLibvirt) -> None:
    home = VM.objects.select_related("host").get(name="home")
    with pytest.raises(Refusal, match="home was not made by this panel") as no:
        ask_remove(home, RemovalRequest(images=True, typed="home", switch_off=True))
    assert no.value.http_status == 409
    assert not Job.objects.filter(kind="remove").exists()


def test_one_that_went_to_another_host_is_said(beta: Host, libvirt: FakeLibvirt) -> None:
    alpha = Host.objects.create(name="alpha", target="root@alpha", seen_at=timezone.now())
    MadeVM.objects.update(host=alpha)
    with pytest.raises(Refusal, match="made by the panel on alpha and is on beta now"):
        ask_remove(copy(), BOTH)


def test_one_that_the_panel_moved_is_marked_anew(
    beta: Host, libvirt: FakeLibvirt, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = Host.objects.create(name="alpha", target="root@alpha", seen_at=timezone.now())
    monkeypatch.setattr(note_making, "ImageHost", lambda _: FakeImages(scene))
    new = "/srv/other/copy-vda.qcow2"
    scene.files.add(new)
    scene.fails["images.mark"] = Unreachable("alpha does not answer.")
    note_making.note_moved(UUID, beta, alpha, [new])
    assert MadeVM.objects.get().host == beta  # nothing is offered on alpha without a mark
    scene.fails.clear()
    note_making.note_moved(UUID, beta, alpha, [new])
    row = MadeVM.objects.get()
    assert (row.host, row.way) == (alpha, MadeVM.Way.MOVE)
    assert [file["path"] for file in row.files] == [new]
    note_making.note_moved(OTHER, beta, alpha, ["/srv/images/home.qcow2"])
    assert MadeVM.objects.count() == 1  # home is not the panel's because it moved it


def test_one_that_runs_is_shut_down_first(beta: Host, libvirt: FakeLibvirt, scene: Scene) -> None:
    libvirt.put("beta", UUID, "copy", "running", {"vda": IMAGE})
    inventory.take_inventory(beta, timezone.now())
    with pytest.raises(Refusal, match="copy is running: shut it down first"):
        ask_remove(copy(), BOTH)
    nothing_happened(scene, libvirt)
    scene.open = set()
    job = done(RemovalRequest(images=True, typed="copy", switch_off=True))
    assert job.state == State.DONE, job.detail
    assert not scene.files & {IMAGE, NVRAM}


def started(libvirt: FakeLibvirt, scene: Scene) -> None:
    libvirt.put("beta", UUID, "copy", "running", {"vda": IMAGE})
    scene.open = {IMAGE}


def another_disk(libvirt: FakeLibvirt, scene: Scene) -> None:
    disks = {"vda": IMAGE, "vdb": "/srv/images/photos.qcow2"}
    libvirt.put("beta", UUID, "copy", "shut off", disks)


def a_snapshot(libvirt: FakeLibvirt, scene: Scene) -> None:
    libvirt.put("beta", UUID, "copy", "shut off", {"vda": "/srv/images/copy-vda.snap1"})


def opened_elsewhere(libvirt: FakeLibvirt, scene: Scene) -> None:
    scene.open = {IMAGE}


def built_upon(libvirt: FakeLibvirt, scene: Scene) -> None:
    home = VirtualDisk.objects.get(vm__name="home")
    home.backing_chain = [IMAGE]
    home.save()


def built_upon_just_now(libvirt: FakeLibvirt, scene: Scene) -> None:
    """A linked clone that was not looked at yet: of a VM that is off libvirt names no chain."""
    libvirt.put("beta", CLONE, "clone", "shut off", {"vda": "/srv/images/clone.qcow2"})
    scene.chains["/srv/images/clone.qcow2"] = (IMAGE,)


def silent(libvirt: FakeLibvirt, scene: Scene) -> None:
    libvirt.fails["state"] = Unreachable("libvirt on beta hung up.")


def refusing(libvirt: FakeLibvirt, scene: Scene) -> None:
    libvirt.fails["undefine"] = Refused("libvirt on beta refused `undefine`.")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (started, "started meanwhile"),
        (another_disk, r"vdb \(/srv/images/photos.qcow2\)"),
        (a_snapshot, "a disk that the panel did not make"),
        (opened_elsewhere, "open in another program"),
        (built_upon, "used by home, too"),
        (built_upon_just_now, "used by clone, too"),
        (silent, "hung up"),
        (refusing, "refused `undefine`"),
    ],
)
def test_what_changed_since_stops_it(
    beta: Host,
    libvirt: FakeLibvirt,
    scene: Scene,
    change: Callable[[FakeLibvirt, Scene], None],
    word: str,
) -> None:
    job = done(BOTH, lambda: change(libvirt, scene))
    assert job.state == State.FAILED, job.detail
    assert re.search(word, job.sentence), job.sentence
    nothing_happened(scene, libvirt)


def test_a_file_that_is_another_by_now_stays(
    beta: Host, libvirt: FakeLibvirt, scene: Scene
) -> None:
    scene.marks[IMAGE] = "another's"
    job = done(BOTH)
    assert job.state == State.DONE, job.detail
    assert IMAGE in scene.files
    assert NVRAM not in scene.files
    assert f"{IMAGE} stays there: not provably what the panel made" in job.sentence


def test_one_that_is_gone_from_libvirt_leaves_its_images_to_remove(
    beta: Host, libvirt: FakeLibvirt, scene: Scene
) -> None:
    libvirt.take("beta", UUID)
    inventory.take_inventory(beta, timezone.now())
    assert done(BOTH).state == State.DONE
    assert not scene.files & {IMAGE, NVRAM}
    assert not VM.objects.filter(uuid=UUID).exists()


def test_a_borrower_ends_its_loan(
    beta: Host, libvirt: FakeLibvirt, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class FakeBacking:
        def close(self) -> None:
            closed.append("closed")

    class Runs:
        def filter(self, **_: Any) -> "Runs":
            return self

        def first(self) -> "Runs":
            return self

        def delete(self) -> None:
            closed.append("forgotten")

    monkeypatch.setattr(service, "remote_backing_of", lambda _: FakeBacking())
    monkeypatch.setattr(InstantRun.objects, "select_related", lambda *_: Runs())
    assert done(BOTH).state == State.DONE
    assert closed == ["closed", "forgotten"]


def test_one_at_a_time(beta: Host, libvirt: FakeLibvirt) -> None:
    ask_remove(copy(), BOTH)
    with pytest.raises((Busy, Refusal)):
        ask_remove(copy(), BOTH)


def test_a_worker_that_died_is_settled(beta: Host, libvirt: FakeLibvirt, scene: Scene) -> None:
    job = ask_remove(copy(), BOTH)
    assert "before anything was removed" in settle(job)
    job.state_data = {"begun": True}
    assert "still defined" in settle(job)
    nothing_happened(scene, libvirt)
    libvirt.take("beta", UUID)
    ledger.finish(job.pk, State.LOST, "")
    assert "copy is removed from beta" in settle(job)
    assert not scene.files & {IMAGE, NVRAM}
    assert "removed; the panel stopped just after" in settle(job)


def test_the_state_of_its_tpm_goes_with_it(
    beta: Host, libvirt: FakeLibvirt, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[str] = []

    class Beside:
        def __init__(self, machine: object) -> None:
            """On beta."""

        def __enter__(self) -> "Beside":
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing is held."""

        def remove_tpm(self, uuid: str) -> None:
            cleared.append(uuid)

    monkeypatch.setattr(service, "BesideHost", Beside)
    state = f"/var/lib/libvirt/swtpm/{UUID}/tpm2/tpm2-00.permall"
    Job.objects.filter(kind="restore").update(state_data={"beside": [state]})
    assert done(BOTH).state == State.DONE
    assert cleared == [UUID]


def test_one_brought_back_in_its_place_is_no_trial(beta: Host, scene: Scene) -> None:
    job = Job.objects.get(kind="restore")
    job.parameters = {**job.parameters, "successor": True}
    note_made(job, beta, images(scene), [IMAGE])
    made = made_vm(copy())
    assert made is not None
    assert not made.trial


def test_a_host_that_keeps_no_marks_is_said(beta: Host, scene: Scene) -> None:
    scene.fails["images.mark"] = Unreachable("beta does not answer.")
    job = Job.objects.get(kind="restore")
    said = note_made(job, beta, images(scene), [IMAGE])
    assert said == "The panel will not offer to remove copy: beta does not answer."
