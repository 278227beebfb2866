"""Taking a machine in: every wrong case is one sentence, and nothing is stored."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from backups.models import Store
from hosts.models import VM, Finding, Host
from hosts.selectors.machines import same_machine
from hosts.services.checks.check_doubles import check_doubles
from hosts.services.machines import add_host, remove_host
from labpanel.adapters.errors import AdapterError, KeyRefused, Missing, Unreachable
from labpanel.adapters.looks import host_facts
from labpanel.adapters.ssh import host_key, machine, openssh
from labpanel.adapters.ssh.host_key import HostKey
from labpanel.jobs.ledger import open_job
from labpanel.lib.refusal import Refusal
from tests.fakes import host_facts as made
from tests.services.looked import HOME, NOW, Ground

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
        ("../etc", "root@new", "is not a name for a host"),
        ("a b", "root@new", "is not a name for a host"),
        ("", "root@new", "is not a name for a host"),
        ("x" * 64, "root@new", "is not a name for a host"),
        ("new", "-oProxyCommand=reboot", "is not an SSH target"),
        ("new", "root@-oProxyCommand=reboot", "is not an SSH target"),
        ("new", "root@new; reboot", "is not an SSH target"),
        ("new", "root@$(reboot)", "is not an SSH target"),
        ("new", "root@new:", "is not an SSH target"),
        ("new", "", "is not an SSH target"),
    ],
)
def test_a_wrong_or_taken_name_or_target(
    ground: Ground, name: str, target: str, sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence):
        add_host.check(name, target)


@pytest.mark.parametrize(
    "target",
    [
        "root@10.0.0.1",
        "olga@nas.home.arpa:2222",
        "root@fe80::1",
        "root@[fe80::1]:22",
        "root@[fe80::1%br-lan]:22",
        "root@fe80::1%eth0.10",
        "root@fe80::1%vmbr0",
        "root@[fe80::1%wg-home_2.5]:65535",
        "root@[2001:db8::1]",
        "nas:1",
    ],
)
def test_targets_that_are_fine(ground: Ground, target: str) -> None:
    assert add_host.check("new", target).target.removeprefix("root@") == target.removeprefix(
        "root@"
    )


@pytest.mark.parametrize(
    ("target", "address", "port"),
    [
        ("root@[fe80::1%br-lan]:22", "root@fe80::1%br-lan", 22),
        ("root@fe80::1%eth0.10", "root@fe80::1%eth0.10", 22),
        ("root@[fe80::1%eth0.10]:2222", "root@fe80::1%eth0.10", 2222),
        ("root@fe80::2222", "root@fe80::2222", 22),
    ],
)
def test_zones_are_part_of_the_address(target: str, address: str, port: int) -> None:
    assert openssh.split_target(target) == (address, port)


@pytest.mark.parametrize(
    "target",
    ["root@new:99999", "root@new:0", "root@[fe80::1]:65536", "new:70000", "root@new:" + "9" * 30],
)
def test_a_port_that_is_none_is_named(ground: Ground, target: str) -> None:
    with pytest.raises(Refusal, match=r"There is no port \d+ on any machine: give one from 1 to"):
        add_host.check("new", target)


@pytest.mark.parametrize(
    "target", ["root@fe80::1%", "root@fe80::1%-oProxyCommand=x", "root@fe80::1%a;b", "root@x%eth0"]
)
def test_zones_that_are_none(ground: Ground, target: str) -> None:
    with pytest.raises(Refusal, match="is not an SSH target"):
        add_host.check("new", target)


def test_the_same_machine_under_two_names_is_refused(door: Door) -> None:
    add()
    with pytest.raises(Refusal, match="the same machine as the host gamma"):
        add("delta", "root@delta")
    assert names() == ["alpha", "beta", "gamma"]


def known(host: Host, **ids: str) -> None:
    Host.objects.filter(pk=host.pk).update(**ids)


ONE, TWO, THREE = "1" * 32, "2" * 32, "3" * 32


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"machine_id": ONE, "network_id": TWO}, {"machine_id": ONE, "network_id": TWO}),
        ({"machine_id": ONE, "network_id": TWO}, {"machine_id": ONE, "network_id": THREE}),
        ({"machine_id": ONE, "board_id": TWO}, {"machine_id": ONE}),
        ({"network_id": TWO}, {"network_id": TWO}),
        ({"machine_id": ONE, "network_id": TWO}, {"machine_id": THREE, "network_id": TWO}),
    ],
)
def test_a_machine_that_is_there_under_another_address_is_refused(
    ground: Ground, door: Door, before: dict[str, str], now: dict[str, str]
) -> None:
    known(ground.alpha, **before)
    ground.machine.said = made.said(**now)
    with pytest.raises(Refusal, match="root@gamma is the same machine as the host alpha"):
        add()
    assert names() == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {}),
        ({"machine_id": ONE}, {"machine_id": TWO}),
        ({"machine_id": ONE, "board_id": TWO}, {"machine_id": ONE, "board_id": THREE}),  # a clone
        ({"board_id": TWO}, {"board_id": TWO}),  # containers of one machine
        ({"machine_id": ONE}, {"board_id": ONE}),
    ],
)
def test_machines_that_are_two(
    ground: Ground, door: Door, before: dict[str, str], now: dict[str, str]
) -> None:
    known(ground.alpha, **before)
    ground.machine.said = made.said(**now)
    assert add().name == "gamma"


def test_the_panels_own_machine_is_known_by_its_id(ground: Ground, door: Door) -> None:
    own = host_facts.own_identity()
    ids = {"machine_id": own.machine, "board_id": own.board, "network_id": own.network}
    ground.machine.said = made.said(**ids)
    local = add_host.add_local("panel")
    with pytest.raises(Refusal, match=r"the same machine as the host panel \(local\)"):
        add("nas", "root@192.0.2.7")
    local.delete()
    assert add("nas", "root@192.0.2.7").name == "nas"
    with pytest.raises(Refusal, match="local is the same machine as the host nas"):
        add_host.add_local("panel")


def test_a_machine_that_says_nothing_of_itself_is_taken(ground: Ground, door: Door) -> None:
    ground.machine.fails = Missing("gamma has no Python 3.")
    assert add().machine_id == ""


class TestDoubles:
    """Hosts that were added before it was known."""

    def test_the_later_one_has_the_finding_until_one_goes(self, ground: Ground) -> None:
        known(ground.alpha, machine_id=ONE)
        known(ground.beta, machine_id=ONE)
        for _ in range(2):
            check_doubles(NOW)
        found = Finding.objects.get()
        assert (found.host, found.severity) == (ground.beta, "watch")
        assert found.sentence == "beta is the same machine as alpha"
        assert "./panel host remove beta" in found.advice
        known(ground.beta, machine_id=TWO)
        check_doubles(NOW)
        assert Finding.objects.get().resolved_at is not None

    def test_hosts_that_say_nothing_are_no_doubles(self, ground: Ground) -> None:
        check_doubles(NOW)
        assert not Finding.objects.exists()

    def test_what_lies_on_one_does_not_outlive_the_other(self, ground: Ground) -> None:
        assert not same_machine(ground.alpha, ground.beta)
        known(ground.alpha, machine_id=ONE)
        known(ground.beta, machine_id=ONE)
        assert same_machine(Host.objects.get(name="alpha"), Host.objects.get(name="beta"))

    def test_the_panels_own_machine_counts_without_being_a_host(self, ground: Ground) -> None:
        assert not same_machine(ground.alpha, None)
        known(ground.alpha, network_id=host_facts.own_identity().network)
        assert same_machine(None, Host.objects.get(name="alpha"))


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
    assert "its VM home" in sentence  # named, since what was settled for it goes too
    assert names() == ["beta"]
    assert not VM.objects.exists()


def test_a_closed_port_is_said_plainly_and_leaves_no_file(tmp_path: Path) -> None:
    from django.conf import settings

    folder = Path(settings.HOME_DIR) / "ssh"
    before = set(folder.glob("known-*"))  # other tests of this run may have left some
    with pytest.raises(AdapterError, match="the port is closed"):
        host_key.fetch("gamma", "root@127.0.0.1:1")
    assert set(folder.glob("known-*")) == before


def test_the_fingerprint_is_ssh_keygens() -> None:
    # ssh-keygen -lf of this very line
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQPKhCCl38lsMgmoO5v09FNoatazmddQVqpKwg0+jem"
    assert HostKey(line).fingerprint == "SHA256:tBSUrMQfSKvANOz4fm/ATSRew7xFJbLZoKMEJ5QWcEE"
