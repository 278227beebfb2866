"""`./panel vm forget VM`: take a missing VM off the lists."""

from hosts.selectors.naming import find_vm
from hosts.services.vms import forget_vm
from hosts.verbs.vm.show import OneVM
from labpanel.lib.actor import Actor
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


def _do(_: Actor, given: OneVM) -> str:
    return forget_vm.forget(find_vm(given.vm))


VERBS = (
    Verb(
        "vm forget",
        "take a missing VM off the lists",
        OneVM,
        _do,
        as_sentence,
        ApiRoute("DELETE", "vms/<uuid:vm>"),
        say,
    ),
)
