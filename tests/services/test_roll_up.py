"""Rolling up: the same however often and in whatever portions; pruning by age."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from hosts.models import TIERS, Sample1d, Sample1h, Sample5m, Sample10s, Subject
from hosts.rules.samples.rolling import roll
from hosts.services.samples.prune_samples import SLICES, prune
from hosts.services.samples.record_samples import LATE, Key, Owner, record
from hosts.services.samples.roll_up import roll_up
from labpanel.lib.packed import NAN, pack, unpack
from tests.services import sampled
from tests.services.sampled import START

Tiers = list[list[tuple[int, bytes]]]
values = st.one_of(st.just(NAN), st.floats(0, 1e6, width=32))


def everything() -> Tiers:
    return [
        [(row.key, bytes(row.packed)) for row in tier._default_manager.order_by("key")]
        for tier in TIERS[1:]
    ]


def a_key() -> Key:
    return Key(Owner(vm=sampled.vm(sampled.host()).pk), "vm", "")


def write(key: Key, times: Iterable[int]) -> None:
    for at in times:
        record({key: [float(at % 97), NAN]}, at)


def as_they_come(delays: dict[int, int]) -> list[int]:
    """Turns in the order in which their rows come, each later by its own delay. None comes so late
    that the clock must have gone back (record_samples.LATE): what a clock that was ahead wrote is
    rolled up with the next newer rows, and not before."""
    return sorted(delays, key=lambda turn: turn + delays[turn])


class TestPortions(TestCase):
    """With Django's TestCase, which undoes each of hypothesis' examples."""

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.dictionaries(
            st.integers(0, 900), st.integers(0, LATE // 10), min_size=1, max_size=60
        ).map(as_they_come),
        st.lists(st.integers(0, 12_000), max_size=5),
    )
    def test_portions_late_rows_and_repeats_change_nothing(
        self, turns: list[int], looks: list[int]
    ) -> None:
        key = a_key()
        now = START + 12_000
        for number, turn in enumerate(turns):
            write(key, [START + turn * 10])
            if number < len(looks):
                roll_up(START + looks[number])
        roll_up(now)
        once = everything()
        roll_up(now)
        assert everything() == once
        for tier in TIERS[1:]:
            tier._default_manager.all().delete()
        Subject.objects.update(rolled_to=0)
        roll_up(now)
        assert everything() == once


@given(st.lists(values, min_size=1, max_size=30))
def test_a_bucket_is_min_mean_max_of_what_is_known(column: list[float]) -> None:
    low, mean, high = unpack(roll([pack([value]) for value in column], 1))
    known = [value for value in column if value == value]
    if not known:
        assert math.isnan(low) and math.isnan(mean) and math.isnan(high)
        return
    assert (low, high) == (min(known), max(known))
    assert mean == pytest.approx(math.fsum(known) / len(known), rel=1e-6)
    assert low <= mean * 1.000001 + 1e-30
    assert mean <= high * 1.000001 + 1e-30


def test_rows_of_an_older_layout_are_rolled_with_newer_ones() -> None:
    rolled = unpack(roll([pack([1, 2, 3]), pack([1, 10, 3, 20, 5, 30])], 3))
    assert list(rolled) == [1, 10, 2.5, 20, 5, 30]


@pytest.mark.django_db
def test_every_tier_up_to_now() -> None:
    key = a_key()
    write(key, range(START, START + 7200, 10))
    roll_up(START + 7200)
    subject = Subject.objects.get()
    assert (Sample5m.objects.count(), Sample1h.objects.count()) == (24, 2)
    (day,) = Sample1d.objects.all()
    assert (day.subject_id, day.at) == (subject.pk, START)
    low, gap, mean, _, high, _ = unpack(bytes(day.packed))
    assert (low, high) == (0, 96)
    assert 40 < mean < 56
    assert math.isnan(gap)


@pytest.mark.django_db
def test_the_unfinished_bucket_lives() -> None:
    key = a_key()
    write(key, [START + 310])
    roll_up(START + 315)
    first = everything()[0]
    write(key, [START + 320])
    roll_up(START + 325)
    assert [at for at, _ in everything()[0]] == [at for at, _ in first]
    assert everything()[0] != first


@pytest.mark.django_db
def test_a_late_row_reaches_every_tier() -> None:
    key = a_key()
    write(key, range(START, START + 86_400 + 600, 100))
    roll_up(START + 86_400 + 700)
    record({key: [1e6, 0]}, START + 50)
    roll_up(START + 86_400 + 710)
    for tier in TIERS[1:]:
        first = tier._default_manager.order_by("key")[0]
        assert unpack(bytes(first.packed))[4] == 1e6


@pytest.mark.django_db
def test_after_a_long_silence_a_pruned_bucket_keeps_its_row() -> None:
    key = a_key()
    write(key, range(START, START + 300, 10))
    roll_up(START + 400)
    before = everything()[0][0]
    now = START + 150 + Sample10s.KEPT
    Subject.objects.update(rolled_to=START)
    for offset in range(SLICES):
        prune(now + 60 * offset)
    write(key, [now])
    roll_up(now)
    assert everything()[0][0] == before


@pytest.mark.django_db
@pytest.mark.parametrize("tier", TIERS)
def test_what_is_older_than_its_tier_keeps_goes(tier: type[Sample5m]) -> None:
    write(a_key(), [START])
    subject = Subject.objects.get().pk
    now = START + 20 * 365 * 86_400
    ages = {"young": tier.KEPT - 4000, "old": tier.KEPT + 10}
    for age in ages.values():
        tier._default_manager.create(key=tier.key_of(subject, now - age), packed=pack([1]))
    for turn in range(60):
        prune(now + 60 * turn)
    left = [row.at for row in tier._default_manager.all()]
    assert left == [now - ages["young"]]


@pytest.mark.django_db
def test_a_removed_vm_s_rows_go() -> None:
    key = a_key()
    write(key, range(START, START + 600, 10))
    other = Key(Owner(host=sampled.host("beta").pk), "host", "")
    record({other: [1.0, 2.0]}, START)
    roll_up(START + 600)
    Subject.objects.filter(kind="vm").delete()
    for turn in range(60):
        prune(START + 600 + 60 * turn)
    kept = Subject.objects.get().pk
    assert {row.subject_id for row in Sample10s.objects.all()} == {kept}
    assert {key >> 32 for tier in everything() for key, _ in tier} == {kept}
