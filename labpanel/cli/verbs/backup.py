"""`./panel backup VM`: all its virtual disks at one instant, as one generation in a store."""

import argparse

from backups.selectors.stores import find_store, store_for
from backups.services.back_up import ask_for_backup
from hosts.selectors.naming import find_vm
from labpanel.cli import waiting

HELP = "back up a VM, all its disks at one instant"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    parser.add_argument("--store", help="which store; by itself one away from the VM's host")
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read everything, and tell if QEMU's record of what changed had missed something",
    )
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    vm = find_vm(options.vm)
    store = find_store(options.store) if options.store else store_for(vm)
    return waiting.follow(ask_for_backup(vm, store, deep=options.deep), options)
