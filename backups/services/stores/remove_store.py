"""Forget a store. Its files stay as they are: added again, its copies are taken in again."""

from backups.models import InstantRun, Policy, Store
from backups.rules.policies.places import FAR, NEAR
from backups.selectors.stores.store_traffic import traffic
from backups.services.index import evidence, failed_work
from backups.services.stores.check_store_room import end_store_room
from labpanel.adapters.redis import bus
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import count, listed


def remove_store(store: Store) -> str:
    """The sentence that says what is forgotten. Raises Refusal while something depends on it."""
    name = store.name
    if any(each.store == store.pk for each in traffic()):
        raise Refusal(f"{name} is being worked on; wait for it, or cancel it.", 409)
    borrowing = InstantRun.objects.filter(generation__store=store).first()
    if borrowing is not None:
        raise Refusal(f"{borrowing.vm_name} still runs on blocks in {name}.", 409)
    kept = store.generations.exclude(protected_because="").first()
    if kept is not None:
        raise Refusal(f"{kept.key} in {name} is protected: {kept.protected_because}.", 409)
    words = {FAR, NEAR}  # of a policy they are places, also where a store is called so
    naming = [each.name for each in Policy.objects.all() if name in {*each.places} - words]
    if naming:
        raise Refusal(f"The policy {listed(naming)} names {name}; change it first.", 409)
    end_store_room(store)
    copies, where = store.generations.count(), store.where
    evidence.forget_store(store)
    failed_work.forget_store(store)
    store.delete()
    bus.publish("coverage")
    of_it = f", {count(copies, 'copy', 'copies')} in it" if copies else ""
    return (
        f"The panel forgets {name}{of_it}, and how they were proven. The files stay at {where}; "
        f"add it again, and they are taken in again."
    )
