"""A small lab in trouble, and the addresses of its pages."""

from dataclasses import dataclass
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from backups.models import Generation, Store
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


def addresses(lab: Lab) -> dict[str, str]:
    return {
        "overview": reverse("overview"),
        "host": reverse("host", args=[lab.alpha.name]),
        "vm": reverse("vm", args=[lab.home.uuid]),
        "odd vm": reverse("vm", args=[lab.odd.uuid]),
        "coverage": reverse("coverage"),
        "generation": reverse("generation", args=[lab.generation.key]),
        "jobs": reverse("jobs"),
        "job": reverse("job", args=[lab.job.pk]),
        "settings": reverse("settings"),
    }
