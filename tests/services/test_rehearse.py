"""A rehearsal in which anything may fail: nothing is left on the host, and only what was seen to
boot whole counts as rehearsed."""

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Generation, Rehearsal, Store
from backups.selectors.copies.rehearsals import latest_of
from backups.services.index import channels
from backups.services.rehearsal import appliance as rehearsal_appliance
from backups.services.rehearsal import host
from backups.services.rehearsal import rehearse as service
from backups.services.rehearsal import settle as settle_rehearsal
from backups.services.rehearsal import watch as rehearsal_watch
from backups.services.rehearsal.rehearse import ask_for_rehearsal, rehearse
from backups.services.rehearsal.settle import OpenRehearsal
from hosts.models import VM, Host, VirtualDisk
from labpanel.adapters.errors import Unreachable
from labpanel.adapters.rehearsal.workspace import Resources
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs import ledger, settling, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from tests.fakes.rehearsing import MIB, FakeAppliance, FakeKeeper, FakeWorkspace, Ground
from tests.made_manifests import asked_disk, value

VM_UUID = "11111111-2222-4333-8444-555555555555"
KEY = "20261122T231500Z-abc123"
XML = f"""<domain type='kvm'><name>home</name><uuid>{VM_UUID}</uuid>
<memory unit='MiB'>512</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file' device='disk'><source file='/srv/a'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><source file='/srv/b'/><target dev='vdb' bus='virtio'/></disk>
<interface type='bridge'><source bridge='br0'/></interface>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
</devices></domain>"""
FACTS = """disk vda 16384 labpanel-vda
disk vdb 16384 labpanel-vdb
mount /dev/vda1 ext4 /
mount /dev/vdb ext4 /home
done
"""
TREES = "tree 50 1700000000 0 0 /\ntree {home} 1700000000 0 0 /home\ndone\n"
LIVE_TREES = "tree 50 1700000000 48 1700000000 /\ntree 245 1700000000 245 1700000000 /home\ndone\n"


@pytest.fixture
def ground(db: None, monkeypatch: pytest.MonkeyPatch) -> Ground:
    made = Ground(XML)
    made.inside = {
        "copy facts": FACTS,
        "copy trees": TREES.format(home=245),
        "live facts": FACTS,
        "live trees": LIVE_TREES,
    }
    monkeypatch.setattr(service, "Keeper", lambda *_: FakeKeeper(made))
    monkeypatch.setattr(channels, "end_channel", lambda _: None)
    monkeypatch.setattr(channels, "private_machine", made.private_machine)
    for module in (settle_rehearsal, host):
        monkeypatch.setattr(module, "RehearsalWorkspace", lambda _: FakeWorkspace(made))
    for module in (settle_rehearsal, host, rehearsal_watch):
        monkeypatch.setattr(module, "opened", made.opened)
    monkeypatch.setattr(host, "relayed", made.relayed)
    monkeypatch.setattr(rehearsal_appliance, "Appliance", lambda _: FakeAppliance(made))
    monkeypatch.setattr(rehearsal_watch, "_PAUSE", 0)
    monkeypatch.setattr(rehearsal_watch, "_MOUNT_SECONDS", 0)
    monkeypatch.setattr(rehearsal_watch, "AGENT_SECONDS", 0.2)
    return made


@pytest.fixture
def generation(db: None) -> Generation:
    now = timezone.now()
    seen = {"seen_at": now, "libvirt_seen_at": now}
    alpha = Host.objects.create(name="alpha", target="root@alpha", **seen)
    beta = Host.objects.create(name="beta", target="root@beta", **seen)
    store = Store.objects.create(name="far", host=beta, path="/srv/store", store_id=uuid.uuid4())
    vm = VM.objects.create(
        uuid=VM_UUID, name="home", host=alpha, state="running", first_seen_at=now, seen_at=now
    )
    for target in ("vda", "vdb"):
        VirtualDisk.objects.create(
            vm=vm, target=target, source=f"/srv/{target}", first_seen_at=now, seen_at=now
        )
    disks = [asked_disk(target, 8 * MIB) for target in ("vda", "vdb")]
    xml = hashlib.sha256(XML.encode()).hexdigest()
    return Generation.objects.create(
        key=KEY,
        store=store,
        vm=vm,
        vm_uuid=VM_UUID,
        vm_name="home",
        source_host="alpha",
        taken_at=now - timedelta(hours=1),
        consistency="quiesced",
        manifest=value(KEY, disks, files={"domain.xml": xml}),
    )


def done(generation: Generation, host: Host | None = None) -> Job:
    job = ask_for_rehearsal(generation, host, asked_by=Actor.user("anna"))
    work.perform(job.pk, rehearse)
    job.refresh_from_db()
    generation.refresh_from_db()
    return job


def left(ground: Ground) -> tuple[set[str], dict[str, str]]:
    return ground.folders, ground.domains


def test_a_copy_that_boots_whole_counts_as_rehearsed(
    ground: Ground, generation: Generation
) -> None:
    job = done(generation)
    assert job.state == State.DONE, job.detail
    assert job.result is not None
    assert (job.result["host"], job.result["passed"]) == ("beta", True)
    assert generation.rehearsed_at is not None
    assert ground.locked == "shared"
    assert left(ground) == (set(), {})
    shown = latest_of(generation)
    assert shown is not None
    assert (shown.passed, shown.host, shown.pictured) == (True, "beta", True)
    assert (shown.checks[2]["what"], shown.checks[2]["passed"]) == ("Disk vdb", True)


def test_an_empty_home_fails_and_takes_back_what_had_passed(
    ground: Ground, generation: Generation
) -> None:
    done(generation)
    ground.silent_for, ground.inside["copy trees"] = 0, TREES.format(home=0)
    job = done(generation)
    assert job.state == State.FAILED
    assert "/home is empty; the running VM has 245 files there" in job.sentence
    assert generation.rehearsed_at is None
    assert Rehearsal.objects.filter(passed=False).count() == 1
    assert left(ground) == (set(), {})


def test_a_silent_guest_is_not_proven(ground: Ground, generation: Generation) -> None:
    ground.silent_for = 10**9
    ground.console = "Linux version 6.1\n"
    job = done(generation)  # without KVM, which the VM had: it may just be slow
    assert job.state == State.FAILED
    assert "it is not proven that it boots" in job.sentence
    assert generation.rehearsed_at is None
    assert Rehearsal.objects.get().checks[0]["passed"] is None


def test_a_silent_guest_fails_where_the_running_vm_answers(
    ground: Ground, generation: Generation
) -> None:
    ground.silent_for = 10**9
    ground.live_answers = True
    ground.resources = Resources(8 << 30, 6 << 30, 4, kvm=True)
    assert "as that of the running VM does" in done(generation).sentence
    assert generation.rehearsed_at is None


def test_a_guest_that_switches_itself_off_fails(ground: Ground, generation: Generation) -> None:
    ground.during_boot = ground.domains.clear
    job = done(generation)
    assert "The guest switched itself off." in job.sentence
    assert Rehearsal.objects.get().passed is False


def test_a_guest_that_ended_with_its_connection_says_nothing_of_the_copy(
    ground: Ground, generation: Generation
) -> None:
    def lose() -> None:
        ground.domains.clear()
        ground.same_child = False

    ground.during_boot = lose
    assert "That says nothing of the copy" in done(generation).sentence
    assert not Rehearsal.objects.exists()


def test_a_disk_that_its_store_cannot_open_fails_without_a_boot(
    ground: Ground, generation: Generation
) -> None:
    ground.fails["keeper.serve"] = ScriptRefused("unreadable", "vda.qcow2 cannot be opened: gone")
    job = done(generation)
    assert job.sentence == (
        "The copy of home cannot be booted. Disk vda: vda.qcow2 cannot be opened: gone"
    )
    assert "start_transient" not in ground.asked
    assert Rehearsal.objects.get().screenshot is None
    assert left(ground) == (set(), {})


def test_a_disk_that_the_generation_lacks_fails(ground: Ground, generation: Generation) -> None:
    made = generation.manifest
    generation.manifest = made.with_disks(made.disks[:-1])
    generation.save()
    assert "Disk vdb: This generation holds nothing of it." in done(generation).sentence


def test_a_disk_added_since_is_not_missed(ground: Ground, generation: Generation) -> None:
    now = timezone.now()
    VirtualDisk.objects.create(
        vm=VM.objects.get(), target="vdc", source="/srv/c", first_seen_at=now, seen_at=now
    )
    ground.inside["live facts"] = FACTS.replace("done", "mount /dev/vdc xfs /films\ndone")
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    films = next(c for c in Rehearsal.objects.get().checks if c["what"] == "File system /films")
    assert films["passed"] is None
    assert "vdc is younger than this copy" in films["seen"]


STEPS = (
    "keeper.lock",
    "keeper.read_text",
    "workspace.resources",
    "qemu_owner",
    "workspace.set_up",
    "keeper.serve",
    "relay",
    "workspace.hand_over",
    "workspace.overlay",
    "start_transient",
    "transient_state",
    "screenshot",
    "agent_answers",
    "keeper.manifest",
)


@pytest.mark.parametrize("step", STEPS)
def test_whatever_step_fails_nothing_is_left_and_nothing_is_said_of_the_copy(
    ground: Ground, generation: Generation, step: str
) -> None:
    ground.fails[step] = Unreachable("beta does not answer.")
    job = done(generation)
    assert job.state == State.FAILED
    assert job.sentence == "beta does not answer."
    assert left(ground) == (set(), {})
    assert not Rehearsal.objects.exists()


@pytest.mark.parametrize("step", ["start_transient", "agent_answers", "workspace.overlay"])
def test_a_dead_worker_is_settled(ground: Ground, generation: Generation, step: str) -> None:
    """Killed: neither the domain is ended nor the folder removed by the run itself."""
    job = ledger.claim(ask_for_rehearsal(generation).pk, "worker")
    assert job is not None
    ground.fails = {
        step: KeyboardInterrupt(),
        "end_transient": Unreachable("killed"),
        "workspace.tear_down": Unreachable("killed"),
    }
    with pytest.raises(KeyboardInterrupt):
        rehearse(work.Work(job))
    job.refresh_from_db()
    ground.fails = {}
    ((_, left_open),) = work.Work(job).owes(OpenRehearsal)
    ground.folders = {left_open.scratch}
    ground.domains = {left_open.uuid: "<domain/>", VM_UUID: "<domain/>"}
    assert "nothing is left on beta" in ledger.settle(job)
    assert left(ground) == (set(), {VM_UUID: "<domain/>"})


def test_what_could_not_be_ended_goes_when_the_host_is_back(
    ground: Ground, generation: Generation
) -> None:
    gone = Unreachable("beta does not answer.")
    ground.fails = {"agent_answers": gone, "end_transient": gone, "workspace.tear_down": gone}
    assert done(generation).state == State.FAILED
    assert ground.domains
    settling.settle(later(0))
    assert ground.domains
    ground.fails = {}
    settling.settle(later(1))
    assert left(ground) == (set(), {})
    ground.asked.clear()
    settling.settle(later(2))
    assert ground.asked == []


def later(turn: int) -> datetime:
    return timezone.now() + timedelta(hours=turn)


def test_a_worker_that_died_early_left_nothing(ground: Ground, generation: Generation) -> None:
    job = ask_for_rehearsal(generation)
    assert "before anything was booted" in ledger.settle(job)
    assert "end_transient" not in ground.asked


def test_a_cancelled_rehearsal_is_gone(ground: Ground, generation: Generation) -> None:
    def cancel() -> None:
        Job.objects.update(cancel_asked=True)

    ground.during_boot = cancel
    assert done(generation).state == State.CANCELLED
    assert left(ground) == (set(), {})
    assert not Rehearsal.objects.exists()


def test_a_guest_that_writes_too_much_is_ended(ground: Ground, generation: Generation) -> None:
    ground.used_bytes = 9 << 30
    assert "more than the 8192 MiB that beta can spare" in done(generation).sentence
    assert left(ground) == (set(), {})


def test_a_host_whose_disk_is_full_is_not_the_copys_fault(
    ground: Ground, generation: Generation
) -> None:
    ground.during_boot = ground.stop
    assert "beta has no room left" in done(generation).sentence
    assert not Rehearsal.objects.exists()


def test_the_next_host_is_taken_where_the_first_has_no_memory(
    ground: Ground, generation: Generation
) -> None:
    ground.resources = Resources(8 << 30, 100 * MIB, 4, kvm=False)
    job = done(generation)
    assert "beta cannot: it has 0 MiB of memory to spare and 128 are needed." in job.sentence
    assert "alpha cannot" in job.sentence


def test_a_host_that_does_not_answer_is_not_chosen(ground: Ground, generation: Generation) -> None:
    Host.objects.filter(name="beta").update(failing_since=timezone.now(), error="no route")
    job = done(generation)
    assert job.result is not None
    assert job.result["host"] == "alpha"


def test_the_host_that_was_asked_for_is_taken(ground: Ground, generation: Generation) -> None:
    job = done(generation, Host.objects.get(name="alpha"))
    assert job.result is not None
    assert job.result["host"] == "alpha"
    assert job.title.startswith("Boot test of home's copy from ")
    assert job.title.endswith(" on alpha")


def test_only_the_newest_two_pictures_are_kept(ground: Ground, generation: Generation) -> None:
    for _ in range(3):
        ground.silent_for = 0
        assert done(generation).state == State.DONE
    pictured = [one.screenshot is not None for one in Rehearsal.objects.order_by("began_at")]
    assert pictured == [False, True, True]


def test_a_definition_that_was_changed_is_not_booted(
    ground: Ground, generation: Generation
) -> None:
    ground.xml = XML.replace("vdb", "vdc")
    assert "domain.xml of generation" in done(generation).sentence
    assert "start_transient" not in ground.asked


@pytest.mark.parametrize(("state", "why"), [("damaged", "vdb.qcow2 is gone"), ("missing", "")])
def test_what_is_damaged_or_gone_is_not_rehearsed(
    ground: Ground, generation: Generation, state: str, why: str
) -> None:
    generation.state, generation.damage = state, why
    with pytest.raises(Refusal, match=why or "it is gone from the store far"):
        ask_for_rehearsal(generation)


def test_one_rehearsal_of_a_vm_at_a_time(ground: Ground, generation: Generation) -> None:
    ask_for_rehearsal(generation)
    with pytest.raises(ledger.Busy):
        ask_for_rehearsal(generation)


def test_the_domain_has_no_way_out(ground: Ground, generation: Generation) -> None:
    seen: list[Any] = []
    ground.during_boot = lambda: seen.extend(ground.domains.values())
    done(generation)
    assert "br0" not in seen[0]
    assert "interface" not in seen[0]
    assert "/srv/a" not in seen[0]
