"""Taking a machine in: every wrong case is one sentence, and nothing is stored."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from backups.models import Store
from hosts.models import VM, Host
from hosts.services import add_host, remove_host
from labpanel.adapters import host_key, machine
from labpanel.adapters.errors import AdapterError, KeyRefused, Unreachable
from labpanel.adapters.fakes import host_facts as made
from labpanel.adapters.host_key import HostKey
from labpanel.jobs.ledger import open_job
from labpanel.lib.refusal import Refusal
from tests.services.looked import HOME, Ground

KEY = HostKey("ssh-ed25519 " + base64.b64encode(b"a key").decode())
Door = Callable[..., None]


@pytest.fixture
def door(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Door:
    """How the machine behaves when the panel's key is tried: `door(error)`."""

    def behave(error: AdapterError | None = None) -> None:
        def run(self: machine.Machine, words: Sequence[str], **_: object) -> machine.Output:
            if error is not None:
                raise error
            return machine.Output(0, b"", b"")

        monkeypatch.setattr(machine.Machine, "run", run)

    behave()
    return behave


def add(name: str = "gamma", target: str = "root@gamma", fingerprint: str = "") -> Host:
    asked = add_host.check(name, target)
    return add_host.add(asked, KEY, fingerprint or KEY.fingerprint)


def names() -> list[str]:
    return sorted(Host.objects.values_list("name", flat=True))


def test_a_confirmed_host_is_looked_at_at_once(ground: Ground, door: Door) -> None:
    ground.libvirt.put("gamma", HOME, "home")
    host = add()
    assert (host.host_key, host.fingerprint) == (KEY.line, KEY.fingerprint)
    assert host.seen_at is not None
    assert VM.objects.get().host == host


def test_a_fingerprint_may_be_given_without_its_prefix(door: Door) -> None:
    assert add(fingerprint=KEY.fingerprint.removeprefix("SHA256:")).name == "gamma"


def test_another_fingerprint_stores_nothing(door: Door) -> None:
    with pytest.raises(Refusal, match=r"shows the host key SHA256:.*, not SHA256:other"):
        add(fingerprint="SHA256:other")
    assert names() == ["alpha", "beta"]


@pytest.mark.parametrize(
    "error", [KeyRefused("gamma does not accept the panel's key."), Unreachable("gamma is gone.")]
)
def test_a_machine_that_lets_nobody_in_stores_nothing(door: Door, error: AdapterError) -> None:
    door(error)
    with pytest.raises(type(error)):
        add()
    assert names() == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("name", "target", "sentence"),
    [
        ("alpha", "root@new", "There is a host alpha already"),
        ("Alpha", "root@new", "There is a host alpha already"),
        ("new", "root@alpha", "already the host alpha"),
        ("new", "alpha", "already the host alpha"),
        ("../etc", "root@new", "is no name for a host"),
        ("a b", "root@new", "is no name for a host"),
        ("", "root@new", "is no name for a host"),
        ("x" * 64, "root@new", "is no name for a host"),
        ("new", "-oProxyCommand=reboot", "is no SSH target"),
        ("new", "root@-oProxyCommand=reboot", "is no SSH target"),
        ("new", "root@new; reboot", "is no SSH target"),
        ("new", "root@$(reboot)", "is no SSH target"),
        ("new", "root@new:", "is no SSH target"),
        ("new", "", "is no SSH target"),
    ],
)
def test_a_wrong_or_taken_name_or_target(
    ground: Ground, name: str, target: str, sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence):
        add_host.check(name, target)


@pytest.mark.parametrize(
    "target", ["root@10.0.0.1", "olga@nas.home.arpa:2222", "root@fe80::1", "root@[fe80::1]:22"]
)
def test_targets_that_are_fine(ground: Ground, target: str) -> None:
    assert add_host.check("new", target).target == target


def test_the_same_machine_under_two_names_is_refused(door: Door) -> None:
    add()
    with pytest.raises(Refusal, match="the same machine as the host gamma"):
        add("delta", "root@delta")
    assert names() == ["alpha", "beta", "gamma"]


def test_a_host_without_libvirt_is_added_and_told_what_is_missing(
    ground: Ground, door: Door
) -> None:
    ground.machine.said = made.said(tools=made.tools(libvirt_daemon="", libvirt_socket=""))
    ground.libvirt.fails["inventory"] = Unreachable("No such file")
    host = add()
    assert host.missing[0]["command"] == "apt install libvirt-daemon-system"
    assert host.libvirt_error.startswith("gamma has no libvirt.")


def test_this_machine_is_added_once(ground: Ground) -> None:
    first = add_host.add_local()
    assert first.target == "local"
    assert add_host.add_local() == first
    with pytest.raises(Refusal, match="already the host"):
        add_host.add_local("again")


def test_removing_forgets_the_vms_but_not_while_backups_or_jobs_need_it(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home")
    ground.look(ground.alpha)
    store = Store.objects.create(name="far", host=ground.alpha, path="/s", store_id=HOME)
    with pytest.raises(Refusal, match="far"):
        remove_host.remove(ground.alpha)
    store.delete()
    job = open_job("backup", "Back up home", subject=f"vm:{HOME}", lock_key=f"vm:{HOME}")
    with pytest.raises(Refusal, match=f"job {job.pk}"):
        remove_host.remove(ground.alpha)
    job.delete()
    sentence = remove_host.remove(ground.alpha)
    assert "its VM and the graphs" in sentence
    assert names() == ["beta"]
    assert not VM.objects.exists()


def test_a_closed_port_is_said_plainly_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="the port is closed"):
        host_key.fetch("gamma", "root@127.0.0.1:1")
    from django.conf import settings

    assert not list((Path(settings.HOME_DIR) / "ssh").glob("known-*"))


def test_the_fingerprint_is_ssh_keygens() -> None:
    # ssh-keygen -lf of this very line
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQPKhCCl38lsMgmoO5v09FNoatazmddQVqpKwg0+jem"
    assert HostKey(line).fingerprint == "SHA256:tBSUrMQfSKvANOz4fm/ATSRew7xFJbLZoKMEJ5QWcEE"
