"""What the panel notes when a move has ended at its destination."""

from datetime import datetime

from backups.services.index.note_made import note_moved
from hosts.models import Host
from hosts.services.inventory.claims import hand_over
from hosts.services.machines.look import look
from labpanel.moves.services.handover import Handover


def arrived(hand: Handover, now: datetime) -> None:
    """The VM is its new host's at once; the hosts' own inventories tell the rest."""
    destination = Host.objects.get(name=hand.destination)
    hand_over(hand.uuid, destination)
    source = Host.objects.get(name=hand.source)
    note_moved(hand.uuid, source, destination, hand.made)
    for name in (hand.destination, hand.source):
        look(Host.objects.get(name=name), now)
