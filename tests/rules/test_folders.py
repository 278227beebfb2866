"""Where a VM that comes back belongs: never into a folder that another VM has for itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.rules.restore.folders import DEFAULT, ranked

POOL = "/srv/pool"


WIN = {"/srv/win11": ["win11"]}
WEB = {"/srv/images": ["web"]}


@pytest.mark.parametrize(
    ("own", "before", "pools", "used", "groups"),
    [
        ([], [], [], {}, [[DEFAULT]]),
        ([], [], [], WIN, [[DEFAULT]]),
        ([], [], [], {"/srv/Win-11/disks": ["win11"]}, [[DEFAULT]]),
        ([], [], [], WEB, [[DEFAULT], ["/srv/images"]]),
        ([], [], [], {**WEB, **WIN}, [[DEFAULT], ["/srv/images"]]),
        (["/srv/win11"], [], [], WIN, [["/srv/win11"], [DEFAULT]]),
        ([], ["/srv/images"], [], WIN, [["/srv/images"], [DEFAULT]]),
        ([], [], [POOL], WIN, [[POOL], [DEFAULT]]),
        (
            [],
            [],
            [POOL],
            {"/vms": ["a", "b", "c"], "/old": ["a", "d"]},
            [["/vms"], ["/old"], [POOL], [DEFAULT]],
        ),
        ([], [], [POOL, "/b"], {POOL: ["pool"]}, [[POOL], ["/b"], [DEFAULT]]),
        ([], [], ["/z", POOL], {}, [[POOL, "/z"], [DEFAULT]]),
        ([], [], ["/dev/vg"], {}, [[DEFAULT]]),
    ],
)
def test_the_order(
    own: list[str],
    before: list[str],
    pools: list[str],
    used: dict[str, list[str]],
    groups: list[list[str]],
) -> None:
    assert ranked(own, before, pools, used) == groups


_PATHS = st.sampled_from(["/a", "/b", "/c", "/d"])


@given(st.lists(_PATHS), st.lists(_PATHS), st.lists(_PATHS), st.lists(_PATHS))
def test_a_folder_that_bears_one_vms_name_is_taken_only_if_it_is_more_than_that(
    own: list[str], before: list[str], pools: list[str], others: list[str]
) -> None:
    used = {path: [path.strip("/")] for path in others}
    found = {path for group in ranked(own, before, pools, used) for path in group}
    assert not found & (set(used) - set(own) - set(before) - set(pools))


@given(st.lists(_PATHS, min_size=1), st.lists(_PATHS))
def test_a_folder_of_one_other_vm_comes_last(others: list[str], pools: list[str]) -> None:
    found = ranked([], [], pools, {path: ["web"] for path in others})
    alone = sorted(set(others) - set(pools))
    assert [path for group in found for path in group if path in alone] == alone
    if alone:
        assert set(alone) <= set(found[-1])
