"""What a backup builds on, and how it ends where the source or the bitmap failed."""

from typing import Any

import pytest

from backups.models import Generation, GenerationDisk, Store
from backups.rules.backup.chains import LONGEST
from backups.selectors.copies.holds import held
from backups.selectors.copies.parents import parents_of
from backups.services.backup.back_up import ask_for_backup, back_up
from hosts.models import VM
from labpanel.jobs import work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.hints import FULL
from tests.fakes.backing_up import Scene
from tests.fakes.domains import SIZE
from tests.services.test_back_up import VM_UUID, done, scene, store, vm

__all__ = ["scene", "store", "vm"]


def disks(newest_first: bool = True) -> list[GenerationDisk]:
    found = GenerationDisk.objects.order_by("generation__taken_at")
    return list(reversed(found) if newest_first else found)


def test_the_second_backs_on_the_first(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    job = done(vm, store)
    assert job.state == State.DONE
    second, first = disks()
    assert (first.mode, first.parent) == (FULL, "")
    assert second.parent == first.generation.key
    assert second.mode != FULL
    assert second.why
    whole = second.generation.manifest
    assert whole.format == 2
    assert whole.parent == first.generation.key
    assert whole.parent_content == first.generation.manifest.content


def test_another_store_begins_a_chain_of_its_own(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    other = Store.objects.create(
        name="near", host=vm.host, path="/srv/near", store_id="11111111-2222-4333-8444-000000000000"
    )
    done(vm, other)
    assert [disk.parent for disk in disks()] == ["", ""]


def test_a_chain_that_is_long_enough_ends(scene: Scene, vm: VM, store: Store) -> None:
    for _ in range(LONGEST + 1):
        assert done(vm, store).state == State.DONE
    last, before = disks()[:2]
    assert before.parent
    assert (last.parent, last.mode) == ("", FULL)
    assert f"{LONGEST} generations" in last.why


def test_a_parent_that_the_store_refuses_costs_a_full(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    scene.no_parent = "vda.digests of generation x is not what was written."
    assert done(vm, store).state == State.DONE
    assert (disks()[0].parent, disks()[0].mode) == ("", FULL)
    assert disks()[0].why == scene.no_parent


def test_a_generation_that_is_damaged_as_a_whole_is_no_parent(
    scene: Scene, vm: VM, store: Store
) -> None:
    done(vm, store)
    Generation.objects.update(state=Generation.State.DAMAGED, damage="manifest.json is gone")
    done(vm, store)
    assert disks()[0].parent == ""
    assert "sound" in disks()[0].why


def test_what_rotted_in_the_parent_is_sent_again(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    GenerationDisk.objects.update(bad=[[0, 262144]], unreadable=[[524288, 528384]])
    Generation.objects.update(state=Generation.State.DAMAGED, damage="rot")
    done(vm, store)
    assert disks()[0].parent == disks()[1].generation.key
    assert scene.saving[-1][1] == [[0, 262144], [524288, 528384]]


def test_a_source_that_cannot_be_read_in_part_fails_and_keeps_what_there_is(
    scene: Scene, vm: VM, store: Store
) -> None:
    done(vm, store)
    scene.saved = {"unreadable": [[4096, 8192], [1 << 20, (1 << 20) + 4096]]}
    job = done(vm, store)
    assert job.state == State.FAILED
    assert "alpha cannot read all of home: vda at bytes 4096–8191, bytes 1048576–" in job.sentence
    assert "nothing older was replaced" in job.sentence
    newest, older = Generation.objects.order_by("-taken_at")
    assert (newest.state, older.state) == ("damaged", "complete")
    assert "vda lacks bytes 4096–8191" in newest.damage
    assert newest.disks.get().unreadable == scene.saved["unreadable"]
    assert newest.key in job.sentence
    kept = held(vm)
    assert kept is not None
    assert "alpha could not read bytes 4096–8191" in kept.reason


def test_what_the_bitmap_had_missed_is_an_alarm(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    scene.saved = {"missed": [[0, 262144]]}
    job = done(vm, store)
    assert job.state == State.DONE
    assert "Warning: QEMU's record had missed changes (vda at bytes 0–262143)" in job.sentence
    assert disks()[0].missed == [[0, 262144]]


def test_a_bitmap_that_is_not_shown_was_no_hint(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    scene.saved = {"hinted": False}
    done(vm, store)
    assert disks()[0].mode == "full read"
    assert "did not show its record" in disks()[0].why


def test_an_image_that_was_not_touched_is_not_even_opened_for_writing(
    scene: Scene, vm: VM, store: Store
) -> None:
    scene.active = False
    done(vm, store)
    scene.asked.clear()
    assert done(vm, store).state == State.DONE
    assert disks()[0].mode == "unchanged"
    assert (disks()[0].read_bytes, disks()[0].virtual_bytes) == (0, SIZE)
    assert "mover.back_up" not in scene.asked
    assert "keeper.serve_bytes" not in scene.asked


def test_a_bitmap_that_flags_nothing_costs_no_server(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    scene.flagged_bytes = 0
    scene.asked.clear()
    assert done(vm, store).state == State.DONE
    assert (disks()[0].mode, disks()[0].read_bytes) == ("bitmap", 0)
    assert "keeper.serve_bytes" not in scene.asked
    GenerationDisk.objects.update(bad=[[0, 262144]])
    done(vm, store)
    assert scene.saving[-1][1] == [[0, 262144]]


def test_a_cap_reaches_the_mover(scene: Scene, vm: VM, store: Store) -> None:
    job = ask_for_backup(vm, store, bytes_per_second=1 << 20)
    work.perform(job.pk, back_up)
    assert Job.objects.get(pk=job.pk).state == State.DONE
    assert scene.saving[-1][2] == 1 << 20


def test_recover_txt_names_what_the_images_are_read_through(
    scene: Scene, vm: VM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    finish = "tests.fakes.keeping.FakeKeeper.finish"
    from tests.fakes.keeping import FakeKeeper

    plain = FakeKeeper.finish

    def finished(
        self: FakeKeeper, uuid: str, key: str, manifest: Any, files: Any, lying: Any
    ) -> Any:
        texts.append(files["RECOVER.txt"])
        return plain(self, uuid, key, manifest, files, lying)

    monkeypatch.setattr(finish, finished)
    for _ in range(3):
        done(vm, store)
    keys = [disk.generation.key for disk in disks(newest_first=False)]
    assert "This directory holds everything" in texts[0]
    assert f"    ../{keys[1]}\n    ../{keys[0]}\n" in texts[2]


def test_what_can_be_built_on_costs_one_query(
    scene: Scene, vm: VM, store: Store, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        done(vm, store)
    with django_assert_num_queries(1):
        assert parents_of(store, VM_UUID)["vda"].chain
