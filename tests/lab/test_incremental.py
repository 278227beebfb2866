"""What is read again, and why: QEMU's record of changes is trusted where nothing got past it, and
in any doubt everything is read. Every generation is proven against the disk's digests (level 2)."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import agent, faults, guests
from lab.state import Lab
from lab.virsh import inside, virsh
from tests.lab.panels import Panel

pytestmark = pytest.mark.timeout(900)
Eventually = Callable[..., Any]
VM = "web"
KIB = 1024
FOREIGN = "somebody-else.0"


@dataclass(frozen=True)
class Scene:
    """web on alpha with an extra disk vdz that the guest knows as `device` and does not mount."""

    lab: Lab
    panel: Panel
    device: str
    image: str

    def guest(self, script: str, host: str = "alpha") -> str:
        done = agent.run_in_guest(self.lab.layout.host(host), VM, ["/bin/sh", "-c", script])
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def virsh(self, *words: str, host: str = "alpha", check: bool = True) -> str:
        return virsh(self.lab.layout.host(host), *words, check=check)

    def back_up(self, *words: str) -> dict[str, dict[str, Any]]:
        """A generation, proven at level 2; its disks as the manifest has them, by target."""
        kept = self.panel.json("backup", VM, "--store", "far", *words)
        key = kept["generation"]
        assert self.panel.json("verify", key, "--level", "2")["verified"] is True
        rows = self.panel.json("generations", VM)
        uuid = next(row["vm_uuid"] for row in rows if row["generation"] == key)
        beta = self.lab.layout.host("beta")
        text = inside(beta, ["cat", f"/srv/store/{uuid}/{key}/manifest.json"]).stdout
        return {disk["target"]: disk for disk in json.loads(text)["disks"]}

    def ours(self, host: str = "alpha") -> list[str]:
        names = self.virsh("checkpoint-list", VM, "--name", host=host).split()
        return [name for name in names if name.startswith("labpanel-")]

    def bitmaps(self, host: str = "alpha") -> set[str]:
        """Names of our dirty bitmaps in the running QEMU, whatever libvirt knows of them."""
        query = '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}'
        said = json.loads(self.virsh("qemu-monitor-command", VM, query, host=host))["return"]
        names = {one["name"] for node in said for one in node.get("dirty-bitmaps", [])}
        return {name for name in names if name.startswith("labpanel-")}

    def off(self, eventually: Eventually) -> None:
        self.virsh("shutdown", VM)
        eventually(lambda: "shut off" in self.virsh("domstate", VM), "it is off", 60)

    def on(self) -> None:
        self.virsh("start", VM)
        agent.await_agent(self.lab.layout.host("alpha"), VM, timeout=120)


def modes(disks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {target: disk["mode"] for target, disk in disks.items()}


@pytest.fixture(scope="module")
def scene(lab: Lab, panel: Panel) -> Iterator[Scene]:
    alpha = lab.layout.host("alpha")
    first = panel.json("backup", VM, "--store", "far")
    assert [disk["mode"] for disk in first["disks"]] == ["full"]
    image = guests.add_disk(lab.layout, "alpha", VM, "vdz")
    made = Scene(lab, panel, "/dev/vdb", image)
    try:
        made.guest(f"until [ -b {made.device} ]; do sleep 0.2; done")
        made.guest(f"dd if=/dev/urandom of={made.device} bs=1M count=8 && sync")
        yield made
    finally:
        for name in made.virsh("checkpoint-list", VM, "--name", check=False).split():
            made.virsh("checkpoint-delete", VM, name, check=False)
        made.virsh("detach-disk", VM, "vdz", "--live", "--config", check=False)
        inside(alpha, ["rm", "-f", image])


def test_a_disk_added_later_joins_with_a_full_of_its_own(scene: Scene) -> None:
    disks = scene.back_up()
    assert modes(disks) == {"vda": "bitmap", "vdz": "full"}
    assert disks["vda"]["read_bytes"] < 32 << 20
    assert disks["vdz"]["parent"] is None


def test_only_what_changed_is_read_and_foreign_checkpoints_stay(scene: Scene) -> None:
    scene.virsh("checkpoint-create-as", VM, FOREIGN, "--diskspec", "vda,checkpoint=bitmap")
    scene.guest(
        f"dd if=/dev/urandom of={scene.device} bs=64k seek=16 count=1 conv=notrunc && "
        f"dd if=/dev/zero of={scene.device} bs=1M seek=4 count=1 conv=notrunc && sync"
    )
    disks = scene.back_up()
    assert modes(disks) == {"vda": "bitmap", "vdz": "bitmap"}
    assert 64 * KIB <= disks["vdz"]["candidate_bytes"] <= 2 << 20
    assert 0 < disks["vdz"]["copied_bytes"] <= 512 * KIB  # the zeros are not copied
    assert len(scene.ours()) == 1
    assert FOREIGN in scene.virsh("checkpoint-list", VM, "--name").split()
    scene.virsh("checkpoint-delete", VM, FOREIGN)


def test_a_resized_disk_goes_on(scene: Scene) -> None:
    scene.virsh("blockresize", VM, "vdz", "96MiB")
    scene.guest("until [ $(cat /sys/block/vdb/size) -eq 196608 ]; do sleep 0.2; done")
    scene.guest(f"dd if=/dev/urandom of={scene.device} bs=1M seek=90 count=1 conv=notrunc && sync")
    disks = scene.back_up()
    assert modes(disks) == {"vda": "bitmap", "vdz": "full read"}
    assert "resized" in disks["vdz"]["why"]
    assert (disks["vdz"]["virtual_bytes"], disks["vdz"]["copied_bytes"]) == (96 << 20, 1 << 20)
    assert modes(scene.back_up()) == {"vda": "bitmap", "vdz": "bitmap"}


def test_a_deep_run_finds_what_the_record_had_missed(scene: Scene) -> None:
    """Bytes changed in the image behind QEMU's back; the next runs by bitmap do not see them."""
    alpha = scene.lab.layout.host("alpha")
    mapped = inside(alpha, ["qemu-img", "map", "-U", "--output=json", scene.image]).stdout
    place = next(part["offset"] for part in json.loads(mapped) if part["data"])
    poke = ["dd", f"of={scene.image}", "conv=notrunc", "oflag=seek_bytes", f"seek={place + 4096}"]
    inside(alpha, [*poke, "status=none"], text_in="behind its back")
    assert scene.back_up()["vdz"]["copied_bytes"] == 0
    deep = scene.back_up("--deep")
    assert modes(deep) == {"vda": "deep", "vdz": "deep"}
    assert deep["vdz"]["missed"] == [[0, 256 * KIB]]
    assert deep["vda"]["missed"] == []
    rows = scene.panel.json("jobs")
    assert any("Warning: QEMU's record had missed changes" in str(row) for row in rows)


def test_a_killed_qemu_costs_a_read_and_no_full(scene: Scene, eventually: Eventually) -> None:
    """Its bitmaps are left inconsistent, as after a power cut; they are cleaned away."""
    faults.kill_qemu(scene.lab.layout.host("alpha"), VM)
    eventually(lambda: "shut off" in scene.virsh("domstate", VM), "libvirt sees it", 30)
    scene.on()
    disks = scene.back_up()
    assert modes(disks) == {"vda": "full read", "vdz": "full read"}
    assert "started anew" in disks["vdz"]["why"]
    assert disks["vdz"]["copied_bytes"] == 0
    assert len(scene.bitmaps()) == 1


def test_a_record_that_libvirt_forgot_is_read_past_and_removed(scene: Scene) -> None:
    scene.virsh("checkpoint-delete", VM, scene.ours()[0], "--metadata")
    disks = scene.back_up()
    assert modes(disks) == {"vda": "full read", "vdz": "full read"}
    assert "lost or broken" in disks["vda"]["why"]
    assert scene.bitmaps() == set(scene.ours())
    assert len(scene.ours()) == 1


def test_a_vm_that_is_off_is_read_by_its_own_record_or_not_at_all(
    scene: Scene, eventually: Eventually
) -> None:
    scene.guest(f"dd if=/dev/urandom of={scene.device} bs=64k seek=3 count=1 conv=notrunc && sync")
    scene.off(eventually)
    try:
        disks = scene.back_up()
        assert modes(disks) == {"vda": "bitmap", "vdz": "bitmap"}
        assert 0 < disks["vdz"]["read_bytes"] <= 512 * KIB
        again = scene.back_up()
        assert modes(again) == {"vda": "unchanged", "vdz": "unchanged"}
        assert again["vda"]["read_bytes"] == again["vdz"]["read_bytes"] == 0
        write = ["qemu-io", "-f", "qcow2", "-c", "write -q -P 7 2M 64k", scene.image]
        inside(scene.lab.layout.host("alpha"), write)
        written = scene.back_up()
        assert modes(written) == {"vda": "unchanged", "vdz": "full read"}
        assert written["vdz"]["copied_bytes"] == 256 * KIB
    finally:
        scene.on()
    assert modes(scene.back_up()) == {"vda": "full read", "vdz": "full read"}
    assert scene.bitmaps() == set(scene.ours())


def test_an_image_written_to_while_off_is_never_read_by_its_record(
    scene: Scene, eventually: Eventually
) -> None:
    """The bitmap is whole and knows nothing of it."""
    scene.off(eventually)
    try:
        write = ["qemu-io", "-f", "qcow2", "-c", "write -q -P 8 3M 64k", scene.image]
        inside(scene.lab.layout.host("alpha"), write)
        disks = scene.back_up()
        assert modes(disks) == {"vda": "bitmap", "vdz": "full read"}
        assert "was written to while" in disks["vdz"]["why"]
    finally:
        scene.on()


def test_a_snapshot_that_is_committed_after_a_backup_forgets_nothing(
    scene: Scene, eventually: Eventually
) -> None:
    """The image has another name at each of three backups, and is one disk with one chain."""
    top = scene.image.replace(".qcow2", ".s1")

    def vdz() -> Any:
        rows = scene.panel.json("coverage", VM)
        return next(row for row in rows if row["disk"] == "vdz")

    def image() -> str:
        shown = scene.panel.json("vm", "show", VM)
        return str(next(d["source"] for d in shown["disks"] if d["target"] == "vdz"))

    before = scene.back_up()["vdz"]
    spec = ["--diskspec", f"vdz,file={top}", "--diskspec", "vda,snapshot=no"]
    scene.virsh("snapshot-create-as", VM, "s1", "--disk-only", "--no-metadata", *spec)
    try:
        scene.guest(f"dd if=/dev/urandom of={scene.device} bs=64k seek=40 count=1 conv=notrunc")
        eventually(lambda: image() == top, "the snapshot is seen", 60)
        assert vdz()["newest"] is not None
        on_top = scene.back_up()["vdz"]
        assert (on_top["source"], on_top["chain"]) == (top, [scene.image])
        assert on_top["inode"] != before["inode"]
        assert "A snapshot put" in on_top["why"]
        assert 0 < on_top["copied_bytes"] <= 512 * KIB
        kept = vdz()["newest"]["generation"]
    finally:
        scene.virsh("blockcommit", VM, "vdz", "--active", "--pivot", "--wait")
        inside(scene.lab.layout.host("alpha"), ["rm", "-f", top])
    eventually(lambda: image() == scene.image, "the commit is seen", 60)
    assert vdz()["newest"]["generation"] == kept
    assert vdz()["verdict"] != "none"
    last = scene.back_up()["vdz"]
    assert (last["source"], last["chain"], last["inode"]) == (scene.image, [], before["inode"])
    assert "was merged into" in last["why"]
    assert last["parent"] == kept
    assert last["copied_bytes"] == 0


def test_snapshots_can_still_be_loaded(scene: Scene, eventually: Eventually) -> None:
    """QEMU loads none into an image that has a bitmap, and libvirt would leave the VM off: ours
    make way, and no new one is begun."""
    scene.back_up()
    assert scene.ours()
    scene.virsh("snapshot-create-as", VM, "before")
    try:
        eventually(lambda: not scene.bitmaps(), "our checkpoints make way", 60)
        disks = scene.back_up()
        assert "lost or broken" in disks["vda"]["why"]
        assert scene.ours() == []
        scene.virsh("snapshot-revert", VM, "before")
        assert "running" in scene.virsh("domstate", VM)
    finally:
        scene.virsh("snapshot-delete", VM, "before", check=False)
    agent.await_agent(scene.lab.layout.host("alpha"), VM, timeout=120)


def test_a_moved_vm_is_read_once_and_its_old_records_go(
    scene: Scene, eventually: Eventually
) -> None:
    """The bitmaps travel with a live migration, but libvirt there does not know them."""
    scene.back_up()
    moved = scene.panel.json("move", VM, "--to", "beta")
    try:
        assert moved["way"] == "live"
        assert scene.bitmaps("beta") != set()
        disks = scene.back_up()
        assert set(modes(disks).values()) == {"full read"}
        assert "was on alpha" in disks["vda"]["why"]
        assert disks["vdz"]["copied_bytes"] == 0
        assert scene.bitmaps("beta") == set(scene.ours("beta"))
        assert len(scene.ours("beta")) == 1
    finally:
        scene.panel("move", VM, "--to", "alpha")
