"""Giving way to snapshots: a VM that got one loses our checkpoints at once, not at its next backup.

QEMU loads no snapshot into an image that has a dirty bitmap, and libvirt, which has ended the VM by
then, leaves it off (decision 11). What is lost is a hint: the next backup reads everything.
"""

import logging
from datetime import datetime, timedelta

from backups.rules.backup import hints
from backups.services.backup.forget_checkpoints import bitmap_targets
from backups.services.index.identity import panel_id
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.shapes import Endpoint

log = logging.getLogger(__name__)
SEEN_WITHIN = timedelta(minutes=1)


def make_way_for_snapshots(now: datetime) -> None:
    """Look at every host that answers; one that fails costs the others nothing."""
    for host in Host.objects.filter(libvirt_seen_at__gt=now - SEEN_WITHIN):
        try:
            _make_way(host.endpoint())
        except AdapterError as error:
            log.info("checkpoints on %s were not looked at: %s", host.name, error.sentence)


def _make_way(endpoint: Endpoint) -> None:
    prefix = hints.panel_prefix(panel_id())
    libvirt = pool.of(endpoint)
    for uuid, names in libvirt.checkpoints_in_the_way(prefix).items():
        if Job.objects.filter(lock_key=f"vm:{uuid}", state__in=ACTIVE).exists():
            continue  # a backup of it looks after its checkpoints itself
        facts = libvirt.backup_facts(uuid)
        gone = libvirt.forget_checkpoints(uuid, names, bitmap_targets(facts.xml))
        log.info("%s has snapshots now: checkpoints %s made way", facts.name, list(gone))
