"""Turns of the hosts app: fetch the row, call one service."""

from django.utils import timezone

from hosts.models import Host
from labpanel.celery import app


@app.task(name="hosts.tasks.check_health_all")
def check_health_all() -> None:
    from hosts.services.check_reach import check_reach

    for host in Host.objects.all():
        check_reach(host, timezone.now())
        app.send_task("hosts.tasks.check_host_health", [host.pk], queue="quick", expires=25)


@app.task(name="hosts.tasks.check_host_health")
def check_host_health(host_id: int) -> None:
    from hosts.services.check_health import check_health

    host = Host.objects.filter(pk=host_id).first()
    if host is not None:
        check_health(host)
