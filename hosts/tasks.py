"""Turns of the hosts app: fetch the row, call one service."""

import time

from django.utils import timezone

from hosts.models import Host
from labpanel.celery import app


@app.task(name="hosts.tasks.check_health_all")
def check_health_all() -> None:
    from hosts.services.checks.check_doubles import check_doubles
    from hosts.services.checks.check_reach import check_reach

    check_doubles(timezone.now())
    for host in Host.objects.all():
        check_reach(host, timezone.now())
        app.send_task("hosts.tasks.check_host_health", [host.pk], queue="quick", expires=25)


@app.task(name="hosts.tasks.check_host_health")
def check_host_health(host_id: int) -> None:
    from hosts.services.checks.check_health import check_health

    host = Host.objects.filter(pk=host_id).first()
    if host is not None:
        check_health(host)


@app.task(name="hosts.tasks.check_old_blocks_all")
def check_old_blocks_all() -> None:
    for host in Host.objects.values_list("pk", flat=True):
        app.send_task("hosts.tasks.check_host_old_blocks", [host], queue="quick", expires=55)


@app.task(name="hosts.tasks.check_host_old_blocks")
def check_host_old_blocks(host_id: int) -> None:
    from hosts.services.checks.check_old_blocks import check_old_blocks

    host = Host.objects.filter(pk=host_id).first()
    if host is not None:
        check_old_blocks(host)


@app.task(name="hosts.tasks.probe_all")
def probe_all() -> None:
    for host in Host.objects.values_list("pk", flat=True):
        app.send_task("hosts.tasks.probe_host", [host], queue="quick", expires=14)


@app.task(name="hosts.tasks.probe_host")
def probe_host(host_id: int) -> None:
    from hosts.services.checks.check_reach import check_reach
    from hosts.services.machines.look import look

    host = Host.objects.filter(pk=host_id).first()
    if host is not None:
        look(host, timezone.now())
        check_reach(host, timezone.now())


@app.task(name="hosts.tasks.power")
def power(job_id: int) -> None:
    from hosts.services.vms.power import perform

    perform(job_id)


@app.task(name="hosts.tasks.check_drives_all")
def check_drives_all() -> None:
    for host in Host.objects.values_list("pk", flat=True):
        app.send_task("hosts.tasks.check_host_drives", [host], queue="quick", expires=55)


@app.task(name="hosts.tasks.check_host_drives")
def check_host_drives(host_id: int) -> None:
    from hosts.services.checks.check_drives import check_drives

    host = Host.objects.filter(pk=host_id).first()
    if host is not None:
        check_drives(host)


@app.task(name="hosts.tasks.sample_all")
def sample_all() -> None:
    for host in Host.objects.values_list("pk", flat=True):
        for task in ("hosts.tasks.sample_vms", "hosts.tasks.sample_machine"):
            app.send_task(task, [host], queue="quick", expires=9)


@app.task(name="hosts.tasks.sample_vms")
def sample_vms(host_id: int) -> None:
    from hosts.services.samples.sample import sample_vms

    host = Host.objects.filter(pk=host_id).first()
    if host is not None:
        sample_vms(host)


@app.task(name="hosts.tasks.sample_machine")
def sample_machine(host_id: int) -> None:
    from hosts.services.samples.sample import sample_machine

    host = Host.objects.filter(pk=host_id).first()
    if host is not None:
        sample_machine(host)


@app.task(name="hosts.tasks.roll_up")
def roll_up() -> None:
    from hosts.services.samples.prune_samples import prune
    from hosts.services.samples.roll_up import roll_up

    now = int(time.time())
    roll_up(now)
    prune(now)
