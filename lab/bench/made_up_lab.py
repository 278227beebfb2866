"""A lab of five hosts and thirty VMs with all that pages show of them, written to the database."""

import uuid
from datetime import datetime, timedelta

from django.utils import timezone

from backups.models import (
    Exclusion,
    Generation,
    GenerationDisk,
    Hold,
    Policy,
    PolicyRun,
    Rehearsal,
    Store,
    StoreReading,
)
from hosts.models import VM, FileSystem, Finding, Host, PhysicalDisk, Reading, Subject, VirtualDisk
from labpanel.jobs.models import Job, JobLine
from labpanel.jobs.states import State
from labpanel.lib.store_format.manifest import FORMAT, UNKNOWN, DiskEntry, Manifest
from labpanel.symptoms.facts.file_systems import Cause, FileSystemTrouble
from labpanel.symptoms.kinds import SubjectKind
from labpanel.symptoms.stored import facts_as_json

HOSTS, VMS = 5, 30
GIB = 2**30
STORE = "far"
DAYS_OF_GENERATIONS, JOBS, LINES = 30, 400, 20
XML = "<domain type='kvm' id='7'><devices><interface type='bridge'><mac address='{mac}'/>\
<target dev='{device}'/></interface></devices>{filler}</domain>"


def make() -> None:
    now = timezone.now()
    hosts = [_host(number, now) for number in range(HOSTS)]
    store = Store.objects.create(
        name=STORE, host=hosts[-1], path="/srv/store", store_id=uuid.uuid4(), looked_at=now,
        size_bytes=900 * GIB, available_bytes=300 * GIB,
    )  # fmt: skip
    policy = _policy(store, now)
    for number in range(VMS):
        vm = _vm(number, hosts[number % HOSTS], now)
        _generations(vm, store, now)
        _kept_up(vm, store, policy, now)
    _findings(hosts, now)
    _jobs(now)


def mac(number: int) -> str:
    return f"52:54:00:00:00:{number:02x}"


def _host(number: int, now: datetime) -> Host:
    host = Host.objects.create(
        name=f"host{number}",
        target=f"root@10.77.0.{number + 1}",
        seen_at=now,
        libvirt_seen_at=now,
        libvirt_version=9_000_000,
        qemu_version=7_002_022,
        kernel="6.1.0",
        cpu_count=8,
        memory_bytes=32 * GIB,
        boot_id=str(uuid.uuid4()),
    )
    kinds = [("host", ""), ("host-nic", "eth0")]
    for letter, mount in (("a", "/"), ("b", "/srv/images")):
        drive = PhysicalDisk.objects.create(
            host=host, key=f"wwn-{number}{letter}", device=f"/dev/sd{letter}", model="SSD 870",
            size_bytes=1000 * GIB, rotational=False, seen_at=now,
        )  # fmt: skip
        system = FileSystem.objects.create(
            host=host, mount_point=mount, source=f"/dev/sd{letter}1", fstype="ext4",
            options="rw,relatime", size_bytes=900 * GIB, used_bytes=300 * GIB,
            available_bytes=550 * GIB, seen_at=now,
            block_chain=[
                {"name": f"sd{letter}1", "type": "part"}, {"name": f"sd{letter}", "type": "disk"}
            ],
        )  # fmt: skip
        system.drives.add(drive)
        kinds += [("block-device", f"sd{letter}"), ("file-system", mount)]
    Subject.objects.bulk_create(Subject(host=host, kind=kind, name=name) for kind, name in kinds)
    return host


def _vm(number: int, host: Host, now: datetime) -> VM:
    """The first has four virtual disks, the others one or two; every tenth is off."""
    vm = VM.objects.create(
        uuid=uuid.uuid4(), name=f"vm {number} <b>", host=host, vcpus=2, memory_bytes=2 * GIB,
        state=VM.State.SHUTOFF if number % 10 == 9 else VM.State.RUNNING,
        xml=XML.format(mac=mac(number), device=f"vnet{number}", filler="<x/>" * 1200),
        first_seen_at=now - timedelta(days=400), seen_at=now,
    )  # fmt: skip
    targets = [f"vd{letter}" for letter in "abcd"[: 4 if number == 0 else 1 + number % 2]]
    system = host.file_systems.get(mount_point="/srv/images")
    VirtualDisk.objects.bulk_create(
        VirtualDisk(
            vm=vm, target=target, source=f"/srv/images/vm{number}-{target}.qcow2", format="qcow2",
            bus="virtio", capacity_bytes=40 * GIB, allocation_bytes=12 * GIB, file_system=system,
            first_seen_at=now, seen_at=now,
        )
        for target in targets
    )  # fmt: skip
    kinds = [("vm", ""), ("nic", mac(number)), *(("virtual-disk", target) for target in targets)]
    Subject.objects.bulk_create(Subject(vm=vm, kind=kind, name=name) for kind, name in kinds)
    return vm


def _manifest(vm: VM, store: Store, taken_at: datetime, disks: list[VirtualDisk]) -> Manifest:
    return Manifest(
        format=FORMAT, generation=f"{taken_at:%Y%m%dT%H%M%SZ}-{vm.pk:04x}", vm_uuid=str(vm.uuid),
        vm_name=vm.name, host=vm.host.name, store_id=str(store.store_id), panel_id="bench",
        taken_at=taken_at, consistency=Generation.Consistency.CRASH,
        disks=tuple(
            DiskEntry(
                target=disk.target, source=disk.source, source_format="qcow2", mode="full",
                virtual_bytes=40 * GIB, root=UNKNOWN, read_bytes=12 * GIB, copied_bytes=GIB,
                seconds=60.0,
            )
            for disk in disks
        ),
    )  # fmt: skip


def _generations(vm: VM, store: Store, now: datetime) -> None:
    disks = list(vm.disks.all())
    made = Generation.objects.bulk_create(
        Generation(
            key=f"{now - timedelta(days=day):%Y%m%dT%H%M%SZ}-{vm.pk:04x}", store=store, vm=vm,
            vm_uuid=vm.uuid, vm_name=vm.name, source_host=vm.host.name,
            taken_at=now - timedelta(days=day), consistency=Generation.Consistency.CRASH,
            manifest=_manifest(vm, store, now - timedelta(days=day), disks),
            trust=Generation.Trust.SIGNED, hashed_at=now, verified_at=now,
        )
        for day in range(DAYS_OF_GENERATIONS)
    )  # fmt: skip
    GenerationDisk.objects.bulk_create(
        GenerationDisk(
            generation=generation, target=disk.target, source=disk.source, virtual_bytes=40 * GIB,
            read_bytes=12 * GIB, written_bytes=GIB, seconds=60,
        )
        for generation in made
        for disk in disks
    )  # fmt: skip


def _policy(store: Store, now: datetime) -> Policy:
    """Nightly to one store, whose room was noted for a quarter of a year."""
    StoreReading.objects.bulk_create(
        StoreReading(
            store=store, day=(now - timedelta(days=day)).date(), size_bytes=900 * GIB,
            available_bytes=(300 + day) * GIB, kept_bytes=(500 - day) * GIB,
        )
        for day in range(90)
    )  # fmt: skip
    return Policy.objects.create(
        name="nightly", is_default=True, cron="0 2 * * *", places=["far"], keep_daily=7
    )


def _kept_up(vm: VM, store: Store, policy: Policy, now: datetime) -> None:
    """What a month of its policy leaves: runs, one that failed, one rehearsal, a hold, an
    exclusion."""
    job = Job.objects.create(
        kind="backup", title=f"Back up {vm.name} to far", subject=f"vm:{vm.uuid}",
        state=State.FAILED, sentence="far is full.", started_at=now, ended_at=now,
    )  # fmt: skip
    PolicyRun.objects.bulk_create(
        PolicyRun(
            policy=policy, vm=vm, store=store, due_at=now - timedelta(days=day),
            job=job if day % 9 else None,
        )
        for day in range(DAYS_OF_GENERATIONS)
    )  # fmt: skip
    newest = Generation.objects.filter(vm=vm).latest("taken_at")
    Rehearsal.objects.create(
        generation=newest, host=store.host, began_at=now, ended_at=now, passed=True,
        sentence="It booted.", screenshot=b"x" * 60_000, thumbnail=b"x" * 4000,
    )  # fmt: skip
    Generation.objects.filter(pk=newest.pk).update(rehearsed_at=now)
    if vm.name.startswith("vm 1"):
        Hold.objects.create(vm=vm, reason="Its drive is failing.", by="olga")
        Exclusion.objects.create(vm=vm, target="vda", reason="swap", by="olga")


def _findings(hosts: list[Host], now: datetime) -> None:
    for host in hosts:
        evidence = [{"what": "options", "value": "ro", "source": "/proc/mounts", "since": ""}]
        Reading.objects.bulk_create(
            Reading(
                host=host, kind="smart", subject=f"wwn-{number}", value={"temperature": number},
                first_at=now - timedelta(hours=number + 1), last_at=now - timedelta(hours=number),
            )
            for number in range(200)
        )  # fmt: skip
        for number in range(20):
            finding = Finding.objects.create(
                host=host, kind="file-system", subject=f"/srv/{number}", severity="bad",
                subject_kind=SubjectKind.FILE_SYSTEM, evidence=evidence,
                facts=facts_as_json(
                    FileSystemTrouble(host.name, f"/srv/{number}", Cause.READ_ONLY)
                ),
                opened_at=now - timedelta(days=number), looked_at=now,
                resolved_at=None if number == 0 else now - timedelta(days=number, hours=-1),
            )  # fmt: skip
            finding.vms.set(host.vms.all())


def _jobs(now: datetime) -> None:
    vms = list(VM.objects.select_related("host"))
    jobs = Job.objects.bulk_create(
        Job(
            kind="backup", title=f"Back up {vms[number % VMS].name} to far", asked_by="olga",
            subject=f"vm:{vms[number % VMS].uuid}", state=State.DONE, progress=100,
            parameters={"vm": str(vms[number % VMS].uuid)}, sentence="All disks are kept.",
            started_at=now, ended_at=now, result={},
        )
        for number in range(JOBS)
    )  # fmt: skip
    JobLine.objects.bulk_create(
        JobLine(job=job, text=f"vda: {line} GiB read") for job in jobs for line in range(LINES)
    )
