"""A page that says how a VM comes back may lie open for hours, and be sent twice."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Generation
from backups.services.restore.bring_back import bring_back
from hosts.models import Finding, Host
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from tests.pages import factory
from tests.pages.lab import Lab


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """home's disks are suspect, and there is a copy from before."""
    Job.objects.all().delete()
    Generation.objects.filter(pk=lab.generation.pk).update(
        taken_at=lab.finding.opened_at - timedelta(minutes=5)
    )
    lab.odd.delete()
    return lab


def well_again(lab: Lab) -> None:
    Finding.objects.update(resolved_at=timezone.now())


def silent_by_now(lab: Lab) -> None:
    since = timezone.now() - timedelta(minutes=4)
    error = "alpha does not answer."
    Host.objects.filter(pk=lab.alpha.pk).update(seen_at=since, failing_since=since, error=error)


def came_back(lab: Lab) -> None:
    back = factory.make_vm(lab.beta, "home-restored")
    of, came = {"of": str(lab.home.uuid)}, {"uuid": str(back.uuid)}
    factory.make_job("instant", lab.home, timedelta(minutes=1), parameters=of, result=came)


def sent_already(lab: Lab) -> None:
    bring_back(lab.generation, lab.beta, "stop")


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("choice", ["stop", "run", "off"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (well_again, "Nothing was brought back and nothing was switched off."),
        (silent_by_now, "What is wrong has changed since this page was shown"),
        (came_back, "it is home-restored on beta. Nothing was done."),
        (sent_already, "home is being brought back already"),
    ],
)
def test_what_holds_no_longer_is_not_done(
    signed_in: Client,
    lab: Lab,
    change: Callable[[Lab], None],
    words: str,
    choice: str,
    every: bool,
) -> None:
    change(lab)
    before = Job.objects.count()
    if every:
        fields = {f"copy-{lab.home.uuid}": lab.generation.key}
        fields[f"trouble-{lab.home.uuid}"] = "suspect"
        address = f"/hosts/{lab.alpha.name}/bring-back/"
    else:
        fields = {"copy": lab.generation.key, "to": "beta", "trouble": "suspect"}
        address = f"/vms/{lab.home.uuid}/bring-back/"
    answer = signed_in.post(address, {"choice": choice, **fields})
    assert Job.objects.count() == before
    if not every:
        assert answer.status_code == 409
        assert words in answer.content.decode().replace("&#x27;", "'")


def test_two_taps_at_one_moment_are_one_job(lab: Lab) -> None:
    bring_back(lab.generation, lab.beta, "stop")
    with pytest.raises(Busy):
        bring_back(lab.generation, lab.beta, "stop")
    assert Job.objects.count() == 1


def test_the_page_sends_what_it_has_shown(signed_in: Client, lab: Lab) -> None:
    one = signed_in.get(f"/vms/{lab.home.uuid}/bring-back/").content.decode()
    assert 'name="trouble" value="suspect"' in one
    all_of = signed_in.get(f"/hosts/{lab.alpha.name}/bring-back/").content.decode()
    assert f'name="trouble-{lab.home.uuid}" value="suspect"' in all_of
