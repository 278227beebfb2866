"""Two checkouts on one machine: neither takes the other's practice lab, and a drill says so."""

import json
from pathlib import Path

import pytest

from lab import claim, cli, drill, faults, lifecycle
from lab.commands import LabError
from lab.layout import Layout


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "labs"
    for module in ("claim", "layout", "lifecycle"):
        monkeypatch.setattr(f"lab.{module}.ROOT", root)
    return root


def made(root: Path, checkout: Path | None) -> None:
    """What `up` of some checkout wrote down; None: of a checkout that did not write it yet."""
    facts: dict[str, object] = {"name": "demo", "number": 7}
    if checkout is not None:
        facts["checkout"] = str(checkout)
    (root / "demo").mkdir(parents=True)
    (root / "demo" / "lab.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "words",
    [
        ["down"],
        ["ours"],
        ["status"],
        ["fault", "cable", "alpha"],
        ["heal"],
        ["authorize", "/dev/null"],
    ],
)
def test_another_checkouts_lab_is_left_alone(
    words: list[str], labs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other checkout"
    (other / "lab").mkdir(parents=True)
    made(labs, other)
    assert cli.main([words[0], "--name", "demo", *words[1:]]) == 1
    said = capsys.readouterr().err
    assert f"belongs to the checkout {other}" in said
    assert "LABPANEL_LAB" in said
    assert (labs / "demo" / "lab.json").exists()


def test_up_does_not_adopt_it(labs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "lab").mkdir(parents=True)
    made(labs, other)
    with pytest.raises(LabError, match="belongs to the checkout"):
        claim.claim("demo")


@pytest.mark.parametrize("owner", ["this one", "one that is gone", "unknown"])
def test_what_may_be_used(owner: str, labs: Path, tmp_path: Path) -> None:
    known = {"this one": claim.CHECKOUT, "one that is gone": tmp_path / "gone", "unknown": None}
    made(labs, known[owner])
    assert claim.claim("demo").number == 7
    layout = claim.read("demo")
    assert layout is not None
    claim.must_be_ours(layout)


def test_a_new_lab_is_ours(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "mark_netns", lambda: None)
    claim.claim("demo")
    assert claim.read("demo") == Layout("demo", claim.claim("demo").number, str(claim.CHECKOUT))


def test_every_fault_says_what_to_watch_for() -> None:
    for fault in faults.NAMES:
        target = "home" if fault in faults.ON_VM else None
        done, watch, undo = drill.told("alpha", fault, target)
        assert done.startswith("Done: ") and "alpha" in done and "None" not in done + watch
        assert watch.startswith("Watch for: ")
        assert "./panel drill heal" in undo
    assert "alpha and beta are mended" in drill.healed(["alpha", "beta"])[0]
    assert "beta is mended" in drill.healed(["beta"])[0]


@pytest.mark.parametrize("words", [["fault", "--help"], ["heal", "--help"], ["fault", "nonsense"]])
def test_usage_names_the_drill(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    said = "".join(capsys.readouterr())
    assert "usage: ./panel drill" in said
    assert "python3 -m lab" not in said


def test_down_of_a_half_made_lab_still_goes(labs: Path) -> None:
    (labs / "half").mkdir(parents=True)
    lifecycle.down("half")
    assert not labs.exists()
