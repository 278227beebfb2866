"""A small lab in trouble, and the addresses of its pages."""

from dataclasses import dataclass
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from backups.models import Generation, PolicyRun, Store
from hosts.models import VM, Finding, Host
from labpanel.jobs.models import Job, JobLine
from tests.pages import factory

HOSTILE = """<script>alert("x")</script> $(touch /tmp/x) 'q' 日本語 ../.."""


@dataclass(frozen=True)
class Lab:
    alpha: Host
    beta: Host
    home: VM
    web: VM
    odd: VM
    store: Store
    generation: Generation
    finding: Finding
    job: Job


def make_lab() -> Lab:
    """alpha cannot write; home's vdb was never backed up; beta is well."""
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home, web = factory.make_vm(alpha, "home"), factory.make_vm(beta, "web", disks=1)
    odd = factory.make_vm(alpha, HOSTILE, disks=1, state=VM.State.SHUTOFF)
    store = factory.make_store(beta)
    near = factory.make_store(alpha, "near")
    kept = factory.make_generation(
        home, store, timedelta(hours=3), "vda", verified_at=timezone.now()
    )
    factory.make_generation(web, near, timedelta(hours=5), "vda")
    factory.make_generation(odd, store, timedelta(days=9), "vda")
    finding = factory.make_finding(alpha, home, odd)
    factory.make_samples(timezone.now())
    job = Job.objects.create(
        kind="backup",
        title="Back up home to far",
        subject=f"vm:{home.uuid}",
        asked_by="olga",
        parameters={"vm_uuid": str(home.uuid), "store": store.pk},
        state="running",
        progress=42,
        phase="copying vda",
        done_bytes=42 * 2**28,
        total_bytes=100 * 2**28,
        bytes_per_second=90e6,
        started_at=timezone.now() - timedelta(seconds=40),
    )
    JobLine.objects.create(job=job, text="The guest is frozen.")
    JobLine.objects.create(job=job, text="The guest is thawed again.")
    return Lab(alpha, beta, home, web, odd, store, kept, finding, job)


def add_history(lab: Lab) -> None:
    """Four weeks of a nightly policy: what was kept and proven, what failed, what is left out."""
    policy = factory.make_policy(since=timezone.now() - timedelta(days=40))
    factory.make_readings(lab.store)
    near = Store.objects.get(name="near")
    for night in range(1, 25):
        ago = timedelta(days=night)
        if night % 9 == 4:
            factory.make_job(
                "backup", lab.web, ago, state="failed", sentence="far is full: 20 GiB are missing."
            )
            continue
        proof = timezone.now() - ago + timedelta(hours=1)
        kept = factory.make_generation(lab.web, near, ago, "vda", verified_at=proof)
        kept.disks.update(mode="bitmap" if night % 6 else "deep", written_bytes=night * 40 * 2**20)
        if night == 5:
            factory.make_rehearsal(kept, lab.alpha)
    factory.make_job("verify", lab.web, timedelta(days=1), total_bytes=20 * factory.GIB,
                     parameters={"generation": lab.generation.key, "level": 2})  # fmt: skip
    scratch = factory.make_vm(lab.beta, "scratch", disks=2)
    factory.make_exclusion(scratch, "vdb")
    factory.make_exclusion(scratch, "vda", until=timezone.now() - timedelta(days=3))
    damaged = factory.make_generation(
        lab.home, lab.store, timedelta(days=2), "vda",
        state="damaged", damage="vda.qcow2 differs from what was backed up at bytes 0–262143",
    )  # fmt: skip
    damaged.disks.update(bad=[[0, 262144]])
    factory.make_generation(
        lab.home, lab.store, timedelta(days=30), "vda", protected_because="before the big update"
    )
    factory.make_hold(lab.home)
    PolicyRun.objects.create(
        policy=policy, vm=lab.home, store=lab.store, due_at=timezone.now() - timedelta(days=4)
    )


def addresses(lab: Lab) -> dict[str, str]:
    return {
        "overview": reverse("overview"),
        "host": reverse("host", args=[lab.alpha.name]),
        "vm": reverse("vm", args=[lab.home.uuid]),
        "bring back": reverse("vm-bring-back", args=[lab.home.uuid]),
        "bring all back": reverse("host-bring-back", args=[lab.alpha.name]),
        "odd vm": reverse("vm", args=[lab.odd.uuid]),
        "coverage": reverse("coverage"),
        "generation": reverse("generation", args=[lab.generation.key]),
        "copies": reverse("vm-generations", args=[lab.home.uuid]),
        "stores": reverse("stores"),
        "store": reverse("store", args=[lab.store.name]),
        "policies": reverse("policies"),
        "new policy": reverse("policy-new"),
        "policy": reverse("policy-new"),
        "jobs": reverse("jobs"),
        "job": reverse("job", args=[lab.job.pk]),
        "settings": reverse("settings"),
    }
