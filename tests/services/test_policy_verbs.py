"""`./panel policy`, `exclude` and `include`, as typed."""

import json

import pytest

from backups.models import Exclusion, Policy
from hosts.models import VM
from labpanel.cli.management.commands.panel import Command
from tests.pages import factory

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.django_db


def run(*words: str) -> int:
    return Command().dispatch(list(words))


@pytest.fixture
def home() -> VM:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    factory.make_store(beta)
    return factory.make_vm(alpha, "home")


def test_before_there_is_a_policy_the_list_says_what_to_do(home: VM, capsys: Capture) -> None:
    assert run("policy", "list") == 0
    told = capsys.readouterr()
    assert "./panel policy recommended" in told.out
    assert "No policy backs up home." in told.err


def test_the_recommended_policy_is_one_verb(home: VM, capsys: Capture) -> None:
    assert run("policy", "recommended") == 0
    told = capsys.readouterr().out
    assert "every Sunday at 02:00, UTC, to another machine and to the VM’s own host" in told
    assert "There is no store on alpha: add one there." in told
    assert Policy.objects.get().is_default


def test_the_word_of_before_still_works_and_is_not_listed(home: VM, capsys: Capture) -> None:
    assert run("policy", "story", "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "weekly"
    run("policy", "--help")
    listed = capsys.readouterr().out
    assert "recommended" in listed
    assert "story" not in listed


def test_every_field_can_be_set_and_taken_back(home: VM, capsys: Capture) -> None:
    made = ("policy", "add", "nightly", "--cron", "30 1 * * *", "--timezone", "Asia/Tokyo")
    fields = (
        *("--to", "far", "--to", "near", "--keep-last", "2", "--keep-daily", "7"),
        *("--keep-weekly", "4", "--keep-monthly", "6", "--cap", "12.5", "--no-freeze"),
        *("--verify-days", "3", "--rehearse-days", "0", "--deep-days", "9"),
        *("--window", "23:00-05:30", "--default", "--json"),
    )
    assert run(*made, *fields) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("next_due")
    assert [run["vm"] for run in told.pop("runs")] == ["home", "home"]
    assert told == {
        "name": "nightly",
        "default": True,
        "enabled": True,
        "cron": "30 1 * * *",
        "timezone": "Asia/Tokyo",
        "when": "every day at 01:30, Asia/Tokyo",
        "places": ["far", "near"],
        "keep_last": 2,
        "keep_daily": 7,
        "keep_weekly": 4,
        "keep_monthly": 6,
        "bytes_per_second": 12.5 * 2**20,
        "freeze": False,
        "verify_days": 3,
        "rehearse_days": 0,
        "deep_days": 9,
        "window_start": "23:00",
        "window_end": "05:30",
    }
    back = ("--cap", "0", "--window", "always", "--freeze", "--no-enabled", "--name", "late")
    assert run("policy", "set", "nightly", *back) == 0
    policy = Policy.objects.get()
    assert (policy.name, policy.freeze, policy.enabled) == ("late", True, False)
    assert (policy.bytes_per_second, policy.window_start, policy.keep_daily) == (None, None, 7)


def test_a_vm_is_assigned_and_given_back(home: VM, capsys: Capture) -> None:
    run("policy", "recommended")
    run("policy", "add", "nightly", "--cron", "0 2 * * *", "--to", "far")
    assert run("policy", "assign", "home", "nightly") == 0
    assert run("policy", "show", "nightly") == 0
    assert "home" in capsys.readouterr().out.splitlines()[-1]
    assert run("policy", "assign", "home", "--default") == 0
    assert run("policy", "remove", "nightly") == 0
    assert capsys.readouterr().out.endswith("The policy nightly is gone; its copies stay.\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "x", "--cron", "0 2 * *", "--to", "far"), 1, "five fields"),
        (("add", "x", "--cron", "0 2 * * *"), 1, "Say where to"),
        (("add", "x", "--to", "far", "--cron", "0 2 * * *", "--cap", "fast"), 2, "'fast'"),
        (("set", "x", "--window", "1-2"), 2, "'1-2' is not like 01:00-05:00"),
        (("set", "x", "--window", "01:00+02:00-05:00"), 2, "is not like 01:00-05:00"),
        (("set", "x"), 1, "There is no policy 'x'"),
        (("remove", "x"), 1, "There is no policy 'x'"),
        (("assign", "home"), 2, "required"),
        (("assign", "homer", "x"), 1, "Did you mean home?"),
    ],
)
def test_wrong_use(
    home: VM, capsys: Capture, words: tuple[str, ...], status: int, said: str
) -> None:
    assert run("policy", *words) == status
    assert said in capsys.readouterr().err


def test_a_disk_is_left_out_and_in_again(home: VM, capsys: Capture) -> None:
    words = ("exclude", "home", "vdb", "--reason", "only a cache", "--until", "2999-12-31")
    assert run(*words) == 0
    assert "until 2999-12-31: only a cache" in capsys.readouterr().out
    assert Exclusion.objects.get().by == "the command line"
    assert run("exclude", "home", "vdb", "--reason", "x", "--by", "olga", "--json") == 0
    assert json.loads(capsys.readouterr().out)["by"] == "olga"
    assert run("exclude", "home", "vdb", "--reason", "x", "--until", "soon") == 2
    assert "'soon' is not a day" in capsys.readouterr().err
    assert run("include", "home", "vdb") == 0
    assert run("include", "home", "vdb") == 1


def test_a_turn_by_hand_begins_what_is_due(home: VM, capsys: Capture) -> None:
    assert run("policy", "run") == 0
    assert "Nothing is due" in capsys.readouterr().out
    run("policy", "recommended")
    capsys.readouterr()
    assert run("policy", "run", "--json") == 0
    begun = json.loads(capsys.readouterr().out)
    assert [job["title"] for job in begun] == ["Back up home to far"]
