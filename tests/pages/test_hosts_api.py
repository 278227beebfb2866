"""/api/v1: hosts and VMs in design's shapes, and every no as one sentence with its status."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from hosts.models import VM, Host, VirtualDisk
from labpanel.adapters.errors import Unreachable
from labpanel.adapters.ssh import host_key
from labpanel.jobs.models import Job

UUID = "11111111-0000-4000-8000-000000000001"
ODD = "<script>'\" $(reboot) 家"


@pytest.fixture
def vm(db: None) -> VM:
    now = timezone.now()
    host = Host.objects.create(
        name="alpha", target="root@10.77.0.1:2222", seen_at=now, libvirt_seen_at=now
    )
    vm = VM.objects.create(
        uuid=UUID, name=ODD, host=host, state="running", first_seen_at=now, seen_at=now
    )
    fields: dict[str, Any] = {"vm": vm, "first_seen_at": now, "seen_at": now}
    VirtualDisk.objects.create(
        target="vda", source="/a.qcow2", format="qcow2", capacity_bytes=5, **fields
    )
    VirtualDisk.objects.create(target="sda", device="cdrom", **fields)
    return vm


def send(client: Client, path: str, body: Any) -> Any:
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


@pytest.mark.parametrize("path", ["hosts", "vms", f"vms/{UUID}", "hosts/alpha", "key"])
def test_nobody_sees_anything_without_signing_in(client: Client, db: None, path: str) -> None:
    response = client.get(f"/api/v1/{path}")
    assert response.status_code == 401
    assert response.json()["error"]


def test_the_lists_have_the_shapes_that_are_promised(signed_in: Client, vm: VM) -> None:
    (host,) = signed_in.get("/api/v1/hosts").json()
    assert list(host) == ["name", "address", "state", "reason", "last_seen"]
    assert (host["address"], host["state"]) == ("10.77.0.1:2222", "up")
    (found,) = signed_in.get("/api/v1/vms").json()
    assert found == {
        "name": ODD,
        "uuid": UUID,
        "host": "alpha",
        "state": "running",
        "disks": [
            {"target": "vda", "source": "/a.qcow2", "format": "qcow2", "capacity_bytes": 5}
        ],
        "condition": {"level": "bad", "words": "vda has no copy"},
    }  # fmt: skip


def test_the_lists_take_the_same_queries_for_any_number(
    signed_in: Client, vm: VM, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    for number in range(20):
        host = Host.objects.create(name=f"h{number}", target=f"h{number}")
        VM.objects.create(
            uuid=f"22222222-0000-4000-8000-{number:012}",
            name=f"v{number}",
            host=host,
            first_seen_at=now,
            seen_at=now,
        )
    # two of them for the session and its user; the others for VMs, findings and copies
    with django_assert_max_num_queries(14):
        assert len(signed_in.get("/api/v1/vms").json()) == 21
    with django_assert_max_num_queries(3):
        assert len(signed_in.get("/api/v1/hosts").json()) == 21


def test_one_host_and_one_vm(signed_in: Client, vm: VM) -> None:
    host = signed_in.get("/api/v1/hosts/alpha").json()
    assert [found["uuid"] for found in host["vms"]] == [UUID]
    one = signed_in.get(f"/api/v1/vms/{UUID}").json()
    assert [disk["device"] for disk in one["disks"]] == ["cdrom", "disk"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("get", "hosts/alhpa", 404, "Did you mean alpha?"),
        ("get", f"vms/{UUID.replace('1', '9')}", 404, "There is no VM with the UUID"),
        ("get", "vms?host=beta", 404, "There is no host 'beta'"),
        ("get", "vms?hots=beta", 400, "Unknown parameter 'hots'"),
        ("delete", "hosts/beta", 404, "There is no host 'beta'"),
        ("get", "vms/not-a-uuid", 404, "There is nothing at /api/v1/vms/not-a-uuid."),
        ("put", "hosts", 405, "takes GET or POST, not PUT"),
        ("post", "vms", 405, "takes GET, not POST"),
    ],
)
def test_what_is_not_there(
    signed_in: Client, vm: VM, method: str, path: str, status: int, words: str
) -> None:
    response = getattr(signed_in, method)(f"/api/v1/{path}")
    assert response.status_code == status
    assert words in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "a", "target": "b", "port": 1}, 400, "Unknown field 'port'"),
        ({"name": "a"}, 400, "The field 'target' is missing"),
        ({"name": 5, "target": "b"}, 400, "The field 'name' must be text"),
        ({"name": True, "target": "b"}, 400, "The field 'name' must be text"),
        ("[1]", 400, "Send a JSON object"),
        ("{nope", 400, "The request is not JSON"),
        ("[" * 100000, 400, "The request is not JSON"),
        ({"name": "alpha", "target": "b"}, 409, "There is a host alpha already"),
        ({"name": "../x", "target": "b"}, 400, "is not a name for a host"),
        ({"name": "x", "target": "-oProxyCommand=x"}, 400, "is not an SSH target"),
    ],
)
def test_a_wrong_request_is_named_and_changes_nothing(
    signed_in: Client, vm: VM, body: Any, status: int, words: str
) -> None:
    response = send(signed_in, "hosts", body)
    assert (response.status_code, words in response.json()["error"]) == (status, True)
    assert Host.objects.count() == 1


def test_a_form_is_not_json(signed_in: Client, vm: VM) -> None:
    assert signed_in.post("/api/v1/hosts", {"name": "a"}).status_code == 415


def test_a_host_key_is_shown_before_it_is_trusted(
    signed_in: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = host_key.HostKey("ssh-ed25519 AAAA")
    monkeypatch.setattr(host_key, "fetch", lambda name, target: key)
    response = send(signed_in, "hosts", {"name": "a", "target": "b"})
    assert response.status_code == 409
    assert key.fingerprint in response.json()["error"]

    def gone(name: str, target: str) -> None:
        raise Unreachable(f"{name} does not answer.")

    monkeypatch.setattr(host_key, "fetch", gone)
    assert send(signed_in, "hosts", {"name": "a", "target": "b"}).status_code == 502


def test_power_opens_one_job_and_refuses_what_cannot_be(signed_in: Client, vm: VM) -> None:
    path = f"vms/{UUID}/power"
    assert send(signed_in, path, {"verb": "explode"}).status_code == 400
    assert send(signed_in, path, {"verb": "start"}).status_code == 409
    first = send(signed_in, path, {"verb": "shutdown"})
    assert first.status_code == 202
    job = Job.objects.get(pk=first.json()["job"])
    assert (job.kind, job.lock_key, job.asked_by) == ("power", f"vm:{UUID}", "olga")
    second = send(signed_in, path, {"verb": "reboot"})
    assert second.status_code == 409
    assert f"job {job.pk}" in second.json()["error"]


def test_an_unknown_vm_is_not_switched(signed_in: Client, vm: VM) -> None:
    Host.objects.update(libvirt_failing_since=timezone.now(), libvirt_error="libvirt hangs.")
    response = send(signed_in, f"vms/{UUID}/power", {"verb": "destroy"})
    assert response.status_code == 409
    assert "libvirt hangs." in response.json()["error"]
    assert not Job.objects.exists()


def test_a_request_without_the_sessions_token_is_refused(vm: VM, owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    response = send(client, f"vms/{UUID}/power", {"verb": "shutdown"})
    assert response.status_code == 403
    assert "X-CSRFToken" in response.json()["error"]
    assert not Job.objects.exists()
