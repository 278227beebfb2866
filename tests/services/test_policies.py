"""Making, changing and forgetting policies, and leaving disks out."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Exclusion, Policy, PolicyMember
from backups.selectors.coverage.coverage import coverage
from backups.selectors.policies.exclusions import excluded_targets
from backups.selectors.policies.places import Placing, places_of, with_drives
from backups.selectors.policies.policies import age_limit, find_policy, policy_of
from backups.services.policies.assign_policy import assign
from backups.services.policies.delete_policy import delete_policy
from backups.services.policies.exclude_disk import exclude, include
from backups.services.policies.recommended_policy import recommended_policy
from backups.services.policies.save_policy import Changes, save_policy
from hosts.models import VM
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from tests.pages import factory

pytestmark = pytest.mark.django_db
NIGHTLY: Changes = {"name": "nightly", "cron": "0 2 * * *", "places": ["far"]}


def test_the_storys_policy_takes_every_vm_new_ones_included() -> None:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    far, near = factory.make_store(beta), factory.make_store(alpha, "near")
    home = factory.make_vm(alpha, "home")
    weekly = recommended_policy()
    assert (weekly.is_default, weekly.keep_last, weekly.places) == (True, 3, ["far", "near"])
    assert policy_of(home) == weekly
    assert policy_of(factory.make_vm(beta, "new")) == weekly
    assert places_of(weekly, home) == [far, near]
    assert age_limit(weekly) == timedelta(days=8)
    web = factory.make_vm(beta, "web")
    assert places_of(weekly, web) == [near, far]


def test_asking_for_the_story_again_changes_nothing_of_it() -> None:
    weekly = recommended_policy()
    save_policy(weekly, {"keep_last": 5})
    again = recommended_policy()
    assert (again.pk, again.keep_last, Policy.objects.count()) == (weekly.pk, 5, 1)


def test_a_default_policy_takes_that_part_from_the_one_before() -> None:
    weekly = recommended_policy()
    nightly = save_policy(None, {**NIGHTLY, "is_default": True})
    weekly.refresh_from_db()
    assert not weekly.is_default
    assert policy_of(factory.make_vm(factory.make_host())) == nightly


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "a\nb"}, "control characters"),
        ({"name": "x" * 64}, "63 characters"),
        ({"cron": "often"}, "five fields"),
        ({"timezone": "Berlin"}, "Europe/Berlin"),
        ({"places": []}, "Say where to"),
        ({"places": ["nas"]}, "no store 'nas'"),
        ({"keep_last": 0}, "at least 1"),
        ({"keep_daily": -1}, "0 to 1000"),
        ({"verify_days": 0}, "1 to 3650"),
        ({"rehearse_days": 4000}, "0 means never"),
        ({"bytes_per_second": 1}, "64 KiB/s"),
        ({"window_start": time(1)}, "both a beginning and an end"),
        ({"window_start": time(1), "window_end": time(1)}, "at the same time"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(changes: Any, said: str) -> None:
    kept = save_policy(None, NIGHTLY)
    with pytest.raises(Refusal, match=said):
        save_policy(kept, changes)
    assert Policy.objects.values().get() == Policy.objects.filter(pk=kept.pk).values().get()
    kept_again = Policy.objects.get()
    assert (kept_again.name, kept_again.cron, kept_again.keep_last) == ("nightly", "0 2 * * *", 3)


def test_two_policies_have_two_names() -> None:
    save_policy(None, NIGHTLY)
    with pytest.raises(Refusal, match="already is a policy nightly"):
        save_policy(None, NIGHTLY)


def test_only_a_change_of_the_calendar_begins_anew() -> None:
    policy = save_policy(None, NIGHTLY)
    before = timezone.now() - timedelta(days=30)
    Policy.objects.update(since=before)
    assert save_policy(policy, {"keep_last": 9}).since == before
    assert save_policy(policy, {"cron": "0 3 * * *"}).since > before


def test_a_vm_is_named_by_one_policy_alone() -> None:
    home, web = (factory.make_vm(factory.make_host(name), name) for name in ("home", "web"))
    weekly = recommended_policy()
    nightly = save_policy(None, NIGHTLY, [home])
    hourly = save_policy(None, {**NIGHTLY, "name": "hourly"}, [home, web])
    assert [policy_of(home), policy_of(web)] == [hourly, hourly]
    save_policy(hourly, {}, [web])
    assert policy_of(home) == weekly
    assert "nightly" in assign(home, nightly)
    assert policy_of(home) == nightly
    assert "default policy weekly" in assign(home, None)
    assert policy_of(home) == weekly


def test_deleting_says_what_nothing_saves_any_more() -> None:
    home = factory.make_vm(factory.make_host(), "home")
    weekly, nightly = recommended_policy(), save_policy(None, NIGHTLY, [home])
    assert delete_policy(nightly) == "The policy nightly is gone; its copies stay."
    assert policy_of(home) == weekly
    assert "No policy backs up home now." in delete_policy(weekly)
    assert not PolicyMember.objects.exists()


def test_a_policy_is_found_by_the_beginning_of_its_name() -> None:
    weekly = recommended_policy()
    assert find_policy("wee") == weekly
    with pytest.raises(Refusal, match="no policy 'daily'"):
        find_policy("daily")


def test_a_store_on_a_drive_of_the_vm_is_not_far(django_assert_max_num_queries: Any) -> None:
    """A network mount of alpha's own drive, seen from the panel's machine."""
    alpha = factory.make_host("alpha")
    home = factory.make_vm(alpha, "home")
    shared = factory.make_store(None, "shared")
    shared.drives = ["WD-alpha"]
    shared.save()
    weekly = recommended_policy()
    with django_assert_max_num_queries(12):
        (found,) = with_drives(VM.objects.filter(pk=home.pk))
        far, near = Placing(timezone.now()).of(weekly, found)
    assert far.store is None
    assert "No store lies away from alpha" in far.why
    assert "There is no store on alpha" in near.why


def test_two_words_for_one_store_are_one_place() -> None:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home, nas = factory.make_vm(alpha, "home"), factory.make_store(beta, "nas")
    policy = save_policy(None, {**NIGHTLY, "places": ["far", "nas", "far"]})
    assert policy.places == ["far", "nas"]
    assert places_of(policy, home) == [nas]


def test_leaving_a_disk_out_takes_a_reason_and_can_end() -> None:
    now = timezone.now()
    home = factory.make_vm(factory.make_host(), "home")
    exclude(home, "vdb", "scratch", by=Actor.user("olga"), until=now + timedelta(days=3))
    assert excluded_targets(home, now) == ["vdb"]
    assert excluded_targets(home, now + timedelta(days=4)) == []
    exclude(home, "vdb", "<b>swap</b>", by=Actor.user("olga"))
    assert Exclusion.objects.get().reason == "<b>swap</b>"
    assert excluded_targets(home, now + timedelta(days=4)) == ["vdb"]
    assert include(home, "vdb") == "vdb of home is saved again from its next backup on."
    with pytest.raises(Refusal, match="not left out"):
        include(home, "vdb")


def test_a_new_disk_under_the_target_of_one_left_out_is_saved() -> None:
    now = timezone.now()
    home = factory.make_vm(factory.make_host(), "home")
    exclude(home, "vdb", "scratch", by=Actor.user("olga"))
    home.disks.filter(target="vdb").update(first_seen_at=now + timedelta(seconds=15))
    assert excluded_targets(home, now + timedelta(minutes=1)) == []
    rows = {row.disk: row.verdict for row in coverage(now + timedelta(minutes=1))}
    assert rows["vdb"] == "none"


@pytest.mark.parametrize(
    ("target", "reason", "days", "said"),
    [
        ("vdb", "  ", None, "Say why"),
        ("vdb", "x" * 501, None, "500 characters"),
        ("vdb", "old", -1, "is in the past"),
        ("vdz", "gone", None, "no disk 'vdz'; it has vda and vdb"),
        ("../x", "gone", None, "no disk '../x'"),
    ],
)
def test_a_disk_is_not_left_out_by_mistake(
    target: str, reason: str, days: int | None, said: str
) -> None:
    home = factory.make_vm(factory.make_host(), "home")
    until = timezone.now() + timedelta(days=days) if days else None
    with pytest.raises(Refusal, match=said):
        exclude(home, target, reason, by=Actor.user("olga"), until=until)
    assert not Exclusion.objects.exists()
