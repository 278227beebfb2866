"""When a store is full: said only where the days show it, with how sure that is."""

from datetime import date, timedelta

import pytest

from backups.rules.copies.growth import days_left, growth

FIRST = date(2026, 11, 1)
GIB = 2**30


def readings(*used: float) -> list[tuple[date, int]]:
    return [(FIRST + timedelta(days=n), round(each * GIB)) for n, each in enumerate(used)]


def test_a_steady_store_is_told_to_the_day() -> None:
    found = growth(readings(10, 12, 14, 16, 18))
    assert found.bytes_per_day == pytest.approx(2 * GIB)
    left = days_left(found, 20 * GIB)
    assert left is not None
    assert left.days == pytest.approx(10.0)
    assert left.sure == "sure"


def test_scatter_widens_the_answer() -> None:
    left = days_left(growth(readings(10, 13, 12, 17, 16, 19, 20, 25)), 40 * GIB)
    assert left is not None
    assert left.least < left.days < left.most
    assert left.sure == "roughly"


def test_noise_is_no_growth() -> None:
    found = growth(readings(10, 14, 9, 13, 10, 13, 11))
    assert not found.grows
    assert days_left(found, GIB) is None


@pytest.mark.parametrize("used", [(), (10,), (10, 12), (10, 12, 14)])
def test_few_days_say_nothing(used: tuple[float, ...]) -> None:
    found = growth(readings(*used))
    assert (found.days, found.bytes_per_day) == (len(used), None)
    assert days_left(found, GIB) is None


def test_one_that_shrinks_is_never_full() -> None:
    assert days_left(growth(readings(20, 18, 16, 14)), GIB) is None


def test_missing_days_count_as_time() -> None:
    gaps = [(FIRST + timedelta(days=n), n * GIB) for n in (0, 1, 9, 10)]
    assert growth(gaps).bytes_per_day == pytest.approx(float(GIB))


def test_unknown_room_is_no_answer() -> None:
    assert days_left(growth(readings(10, 12, 14, 16)), None) is None
