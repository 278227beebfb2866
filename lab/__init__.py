"""The practice lab: two real libvirt hosts, `alpha` and `beta`, on one machine.

Each host is a set of namespaces (network, mounts, processes, host name) with
its own sshd, libvirtd and file systems. One setting, the lab's name, decides
addresses, names and folders, so that several labs run side by side.
"""
