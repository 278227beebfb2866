"""Switching a VM, as a job."""

import pytest

from hosts.models import VM
from hosts.services.vms import power
from labpanel.adapters.errors import TimedOut
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from tests.services.looked import HOME, Ground


@pytest.fixture
def vm(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> VM:
    monkeypatch.setattr(power, "opened", ground.libvirt.opened)
    monkeypatch.setattr(power, "POLL_SECONDS", 0.01)
    ground.libvirt.put("alpha", HOME, "home", "shut off")
    from django.utils import timezone

    ground.look(ground.alpha, timezone.now())
    return VM.objects.get()


def done(job: Job) -> Job:
    power.perform(job.pk)
    job.refresh_from_db()
    return job


def test_start_and_shut_down_are_seen_at_once(vm: VM) -> None:
    job = done(power.ask(vm, "start", Actor.user("olga")))
    assert (job.state, job.sentence, job.progress) == ("done", "home runs on alpha.", 100)
    vm.refresh_from_db()
    assert vm.state == "running"
    assert done(power.ask(vm, "shutdown")).sentence == "home is shut down."
    vm.refresh_from_db()
    assert vm.state == "shut off"


def test_what_cannot_be_is_refused_before_a_job(vm: VM) -> None:
    with pytest.raises(Refusal, match="home is not on: it is shut off"):
        power.ask(vm, "reboot")
    with pytest.raises(Refusal, match="is nothing to do to a VM"):
        power.ask(vm, "melt")
    done(power.ask(vm, "start"))
    vm.refresh_from_db()
    with pytest.raises(Refusal, match="home is running already"):
        power.ask(vm, "start")
    assert Job.objects.count() == 1


def test_a_guest_that_hangs_is_reset_and_goes_on(vm: VM, ground: Ground) -> None:
    with pytest.raises(Refusal, match="home is not on: it is shut off"):
        power.ask(vm, "reset")
    done(power.ask(vm, "start"))
    vm.refresh_from_db()
    job = done(power.ask(vm, "reset"))
    assert (job.state, job.sentence) == ("done", "home was reset: its guest starts again.")
    assert [name for _, name, _ in ground.libvirt.asked if name == "reset"] == ["reset"]
    vm.refresh_from_db()
    assert vm.state == "running"


def test_a_guest_that_ignores_the_button_fails_the_job(
    vm: VM, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(power.ask(vm, "start"))
    vm.refresh_from_db()
    ground.libvirt.deaf.add(HOME)
    monkeypatch.setattr(power, "GUEST_SECONDS", 0.05)
    job = done(power.ask(vm, "shutdown"))
    assert job.state == "failed"
    assert "still runs after" in job.sentence


def test_a_libvirt_that_hangs_fails_the_job_with_its_sentence(vm: VM, ground: Ground) -> None:
    ground.libvirt.fails["start"] = TimedOut("libvirt on alpha gave no answer.")
    job = done(power.ask(vm, "start"))
    assert (job.state, job.sentence) == ("failed", "libvirt on alpha gave no answer.")


def test_a_job_whose_worker_died_is_settled_by_asking(vm: VM, ground: Ground) -> None:
    job = power.ask(vm, "start")
    assert ledger.settle(job) == "The panel stopped in the middle; home is shut off now."
    ground.libvirt.take("alpha", HOME)
    assert "gone from alpha" in ledger.settle(job)
