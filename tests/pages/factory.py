"""Rows of a plausible lab, as the probes, samples and backups would have left them."""

import io
import math
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from PIL import Image, ImageDraw

from backups.models import (
    Exclusion,
    Generation,
    GenerationDisk,
    Hold,
    Policy,
    Rehearsal,
    Store,
    StoreReading,
)
from hosts.models import (
    VM,
    FileSystem,
    Finding,
    Host,
    PhysicalDisk,
    Reading,
    Sample,
    Sample1d,
    Sample1h,
    Sample5m,
    Sample10s,
    Subject,
    VirtualDisk,
)
from labpanel.jobs.models import Job
from labpanel.lib.metrics import LAYOUTS
from labpanel.lib.packed import pack, push_recent
from labpanel.symptoms.declared import DECLARED, Facts, kind_of
from labpanel.symptoms.facts.file_systems import Cause, FileSystemTrouble
from labpanel.symptoms.kinds import Kind
from labpanel.symptoms.stored import facts_as_json
from tests import made_manifests

GIB = 2**30


def make_host(name: str = "alpha", **fields: Any) -> Host:
    now = timezone.now()
    host: Host = Host.objects.create(
        **{
            "name": name,
            "target": f"root@{name}.lab",
            "host_key": f"ssh-ed25519 {name}",
            "fingerprint": f"SHA256:{name}",
            "seen_at": now - timedelta(seconds=8),
            "libvirt_seen_at": now - timedelta(seconds=8),
            "libvirt_version": 9_000_000,
            "qemu_version": 7_002_000,
            "kernel": "6.1.0-28-amd64",
            "cpu_count": 4,
            "memory_bytes": 16 * GIB,
            **fields,
        }
    )
    drive = PhysicalDisk.objects.create(
        host=host,
        key=f"WD-{name}",
        device="/dev/sda",
        model="WDC WD10EZEX",
        serial=f"WD-{name}",
        size_bytes=1000 * GIB,
        rotational=True,
        seen_at=now,
    )
    mount = FileSystem.objects.create(
        host=host,
        mount_point="/srv/images",
        source="/dev/sda1",
        fstype="ext4",
        options="rw,relatime",
        size_bytes=900 * GIB,
        used_bytes=640 * GIB,
        available_bytes=260 * GIB,
        block_chain=[{"name": "sda1", "type": "part"}, {"name": "sda", "type": "disk"}],
        seen_at=now,
    )
    mount.drives.add(drive)
    Reading.objects.create(host=host, kind="canary", value={"error": ""}, first_at=now, last_at=now)
    for kind, device in (("host", ""), ("block-device", "sda"), ("host-nic", "eth0")):
        Subject.objects.create(kind=kind, name=device, host=host)
    return host


def make_vm(host: Host, name: str = "home", disks: int = 2, **fields: Any) -> VM:
    now = timezone.now()
    vm: VM = VM.objects.create(
        **{
            "uuid": uuid.uuid4(),
            "name": name,
            "host": host,
            "state": VM.State.RUNNING,
            "vcpus": 2,
            "memory_bytes": 2 * GIB,
            "first_seen_at": now - timedelta(days=61),
            "seen_at": now,
            **fields,
        }
    )
    Subject.objects.create(kind="vm", vm=vm)
    Subject.objects.create(kind="nic", name="52:54:00:00:00:01", vm=vm)
    for number in range(disks):
        target = f"vd{'abcdefgh'[number]}"
        Subject.objects.create(kind="virtual-disk", name=target, vm=vm)
        VirtualDisk.objects.create(
            vm=vm,
            target=target,
            source=f"/srv/images/{vm.uuid}-{target}.qcow2",
            format="qcow2",
            bus="virtio",
            capacity_bytes=(20 + 60 * number) * GIB,
            allocation_bytes=(6 + 32 * number) * GIB,
            file_system=host.file_systems.first(),
            first_seen_at=now - timedelta(days=12),
            seen_at=now,
        )
    return vm


def make_store(host: Host | None, name: str = "far") -> Store:
    return Store.objects.create(
        name=name,
        host=host,
        path="/srv/store",
        store_id=uuid.uuid4(),
        looked_at=timezone.now(),
        size_bytes=900 * GIB,
        available_bytes=500 * GIB,
    )


def make_generation(
    vm: VM, store: Store, ago: timedelta, *targets: str, **fields: Any
) -> Generation:
    taken = timezone.now() - ago
    generation: Generation = Generation.objects.create(
        **{
            "key": f"{taken:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}",
            "store": store,
            "vm": vm,
            "vm_uuid": vm.uuid,
            "vm_name": vm.name,
            "source_host": vm.host.name,
            "taken_at": taken,
            "consistency": Generation.Consistency.QUIESCED,
            "manifest": made_manifests.value(
                disks=[made_manifests.asked_disk(target) for target in targets or ("vda",)]
            ),
            "trust": Generation.Trust.SIGNED,
            **fields,
        }
    )
    for disk in vm.disks.filter(target__in=targets):
        GenerationDisk.objects.create(
            generation=generation,
            target=disk.target,
            source=disk.source,
            virtual_bytes=disk.capacity_bytes or 0,
            read_bytes=disk.allocation_bytes or 0,
            written_bytes=(disk.allocation_bytes or 0) // 2,
            seconds=84.2,
        )
    return generation


def make_finding(
    host: Host, *vms: VM, facts: Facts | None = None, subject: str = "/srv/images", **fields: Any
) -> Finding:
    """By default a file system at `subject` that takes no writes. With `old_sentence` it is a row
    that a panel from before facts were kept left behind."""
    now = timezone.now()
    if facts is None and "old_sentence" not in fields:
        facts = FileSystemTrouble(host.name, subject, Cause.READ_ONLY, "/dev/sdb1", "ext4")
    kind = kind_of(facts) if facts is not None else Kind.FILE_SYSTEM
    finding: Finding = Finding.objects.create(
        **{
            "host": host,
            "kind": kind,
            "about": DECLARED[kind].about,
            "until_seen": DECLARED[kind].until_seen,
            "subject": subject,
            "severity": "bad",
            "facts": facts_as_json(facts) if facts is not None else None,
            "evidence": [
                {
                    "what": "write probe",
                    "value": "EROFS: read-only file system",
                    "source": "canary",
                    "since": (now - timedelta(hours=3)).isoformat(),
                },
                {"what": "mount options", "value": "ro", "source": "/proc/mounts", "since": None},
            ],
            "opened_at": now - timedelta(hours=3),
            "looked_at": now - timedelta(seconds=20),
            **fields,
        }
    )
    finding.vms.set(vms)
    return finding


def value(kind: str, place: int, at: int) -> float:
    """A plausible reading: a daily wave and a little noise, the same for the same time."""
    wave = 0.5 + 0.4 * math.sin(at / 86_400 * 2 * math.pi) + 0.1 * math.sin(at / 37 + place)
    name = LAYOUTS[kind][place]
    if name.startswith(("memory", "swap", "used", "available")):
        return GIB * (0.8 + 0.4 * wave)
    scale = {"percent": 20, "bytes": 3e6, "iops": 40, "ms": 6, "load1": 1.2}
    for ending, top in scale.items():
        if name.endswith(ending):
            return top * wave
    return 8 * wave


def make_samples(now: datetime, *, days: int = 0) -> None:
    """The last minutes by ten seconds; with `days`, two hours and the coarser tiers."""
    end = int(now.timestamp()) // 10 * 10
    for subject in Subject.objects.all():
        _fine(subject, end, 9000 if days else 300)
        for tier, longest in ((Sample5m, 35), (Sample1h, 366), (Sample1d, 366)):
            _far(subject, tier, end, min(days, longest) * 86_400)


def _far(subject: Subject, tier: type[Sample], end: int, seconds: int) -> None:
    """One coarse tier, with a gap of two hours in it."""
    begin = -(-(end - seconds) // tier.STEP) * tier.STEP
    times = (at for at in range(begin, end, tier.STEP) if not 3 * 3600 < end - at < 5 * 3600)
    samples = [
        tier(key=tier.key_of(subject.pk, at), packed=_coarse(subject.kind, at)) for at in times
    ]
    tier._default_manager.bulk_create(samples, batch_size=2000)


def _fine(subject: Subject, end: int, seconds: int) -> None:
    rows, recent, before = [], b"", 0
    for at in range(end - seconds, end + 10, 10):
        row = [value(subject.kind, place, at) for place in range(len(LAYOUTS[subject.kind]))]
        if not 1200 < end - at < 1800:  # a gap of ten minutes
            rows.append(Sample10s(key=Sample10s.key_of(subject.pk, at), packed=pack(row)))
            recent = push_recent(recent, before, at, row[0])
            before = at
    Sample10s.objects.bulk_create(rows)
    subject.latest_at, subject.latest, subject.recent = end, rows[-1].packed, recent
    subject.save()


def _coarse(kind: str, at: int) -> bytes:
    mean = [value(kind, place, at) for place in range(len(LAYOUTS[kind]))]
    return pack([*(each * 0.6 for each in mean), *mean, *(each * 1.5 for each in mean)])


def make_policy(name: str = "nightly", **fields: Any) -> Policy:
    policy: Policy = Policy.objects.create(
        **{
            "name": name,
            "is_default": True,
            "cron": "0 2 * * *",
            "places": ["far", "near"],
            "keep_last": 3,
            "keep_daily": 7,
            "keep_weekly": 4,
            **fields,
        }
    )
    return policy


def make_readings(store: Store, days: int = 30, per_day: int = 2 * GIB) -> None:
    """One a day until today, growing by `per_day`."""
    today, used = timezone.localdate(), (store.size_bytes or 0) - (store.available_bytes or 0)
    StoreReading.objects.bulk_create(
        StoreReading(
            store=store,
            day=today - timedelta(days=ago),
            size_bytes=store.size_bytes or 0,
            available_bytes=(store.available_bytes or 0) + ago * per_day,
            kept_bytes=used - ago * per_day,
        )
        for ago in range(days)
    )


def make_hold(vm: VM, reason: str = "Its drive sda is failing.", by: str = "olga") -> Hold:
    return Hold.objects.create(vm=vm, reason=reason, by=by)


def make_exclusion(vm: VM, target: str, **fields: Any) -> Exclusion:
    exclusion: Exclusion = Exclusion.objects.create(
        **{"vm": vm, "target": target, "reason": "swap", "by": "olga", **fields}
    )
    return exclusion


def make_job(kind: str, vm: VM, ago: timedelta, **fields: Any) -> Job:
    """A job that began `ago` and took 40 s."""
    begun = timezone.now() - ago
    job: Job = Job.objects.create(
        **{
            "kind": kind,
            "title": f"{kind} {vm.name}".capitalize(),
            "subject": f"vm:{vm.uuid}",
            "state": "done",
            "sentence": "It is done.",
            "started_at": begun,
            "ended_at": begun + timedelta(seconds=40),
            **fields,
        }
    )
    Job.objects.filter(pk=job.pk).update(created_at=begun)
    return job


def make_rehearsal(generation: Generation, host: Host, **fields: Any) -> Rehearsal:
    """One that passed an hour ago, with the picture of a screen."""
    now = timezone.now()
    checks = [
        {"what": "The guest answers", "passed": True, "seen": "login prompt on the console"},
        {"what": "All disks are there", "passed": True, "seen": "vda, vdb"},
        {"what": "/home is not empty", "passed": None, "seen": "no agent in the guest"},
    ]
    rehearsal: Rehearsal = Rehearsal.objects.create(
        **{
            "generation": generation,
            "host": host,
            "began_at": now - timedelta(minutes=62),
            "ended_at": now - timedelta(minutes=60),
            "passed": True,
            "sentence": f"{generation.vm_name} booted from this copy in 41 s.",
            "checks": checks,
            "screenshot": screen((640, 400)),
            "thumbnail": screen((160, 100)),
            **fields,
        }
    )
    if rehearsal.passed:
        Generation.objects.filter(pk=generation.pk).update(rehearsed_at=rehearsal.ended_at)
    return rehearsal


def screen(size: tuple[int, int]) -> bytes:
    """A PNG that looks like a console: a few grey lines on black."""
    picture = Image.new("L", size, 8)
    pen = ImageDraw.Draw(picture)
    for line in range(4, size[1] // 2, 8):
        pen.line((4, line, 4 + (line * 37) % (size[0] - 8), line), fill=190, width=2)
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()
