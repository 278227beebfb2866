"""Right after a restore ended, its VM can be started."""

import pytest
from django.utils import timezone

from backups import tasks
from hosts.models import VM
from labpanel.celery import app
from labpanel.jobs import ledger
from labpanel.jobs.states import State
from labpanel.jobs.work import Failed, Work
from tests.services.looked import HOME, Ground


@pytest.mark.parametrize("kind", ["restore", "run_instant"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_job_that_makes_a_vm_ends_when_it_is_listed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, kind: str, *, fails: bool
) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)
    ground.look(ground.alpha, timezone.now())
    states = []
    finish = ledger.finish

    def noted(*words: object, **more: object) -> object:
        states.append(VM.objects.filter(name="home").exists())
        return finish(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "finish", noted)

    def make(work: Work) -> dict[str, str]:
        ground.libvirt.put("alpha", HOME, "home", "shut off")
        if fails:
            raise Failed("home cannot be started.")
        return {"sentence": "home is restored."}

    monkeypatch.setattr(tasks, f"do_{kind}", make)
    job = ledger.open_job(
        "restore", "Restore home", lock_key="vm:x", parameters={"host": ground.alpha.pk}
    )
    getattr(tasks, kind)(job.pk)
    job.refresh_from_db()
    assert states == [True]
    assert job.state == (State.FAILED if fails else State.DONE)
