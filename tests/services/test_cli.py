"""The command line: tables that no name can break, and waiting for jobs."""

import argparse
import json
import os
import sys
import threading
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from hosts.models import VM, Host
from labpanel.adapters.errors import AdapterError
from labpanel.cli.management.commands.panel import Command
from labpanel.jobs import ledger, waiting
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.jobs.work import Failed
from labpanel.lib.refusal import Refusal
from labpanel.verbs import output

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b31m", "a\u202eb", "\ud800", "家\U000e0041\n", "\x7f"]
)
def test_json_is_harmless_to_a_terminal_and_still_the_same_value(
    text: str, capsys: Capture
) -> None:
    output.print_json({text: [text]})
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed) == {text: [text]}


@pytest.mark.parametrize("error", [AdapterError, Failed, Refusal])
def test_a_no_that_quotes_a_host_is_one_harmless_line(
    error: type[Exception], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise error("esc failed: \x1b]0;title\x07\x1b[2J\nroot@panel: all is well")

    monkeypatch.setattr("labpanel.jobs.selectors.recent_jobs", refuse)
    assert run("jobs") == 1
    assert capsys.readouterr() == (
        "",
        r"esc failed: \x1b]0;title\x07\x1b[2J\nroot@panel: all is well" + "\n",
    )


def test_columns_stand_under_each_other_with_wide_and_combining_names(capsys: Capture) -> None:
    rows = [("家のサーバー", 5, None), ("plain", 12345, "x"), ("e\u0301te\u0301", 7, "\x1b[31mred")]
    output.print_table(("name", "count", "note"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "COUNT", "NOTE"]
    starts = {output.width(line[: line.index(note)]) for line, note in zip(
        lines[1:], ("–", "x", "\\x1b"), strict=True)}  # fmt: skip
    assert len(starts) == 1


def test_no_rows_say_what_to_do(capsys: Capture) -> None:
    output.print_table(("name",), [], "There is none.")
    assert capsys.readouterr().out == "There is none.\n"


def run(*words: str) -> int:
    return Command().dispatch(list(words))


@pytest.fixture
def alpha(db: None) -> Host:
    now = timezone.now()
    host = Host.objects.create(name="alpha", target="root@a", seen_at=now, libvirt_seen_at=now)
    for number, name in enumerate(("home", "web", "$(reboot) '家'")):
        uuid = f"{number + 1}0000000-0000-4000-8000-000000000000"
        VM.objects.create(
            uuid=uuid, name=name, host=host, state="shut off", first_seen_at=now, seen_at=now
        )
    return host


def test_lists_as_table_and_json(alpha: Host, capsys: Capture) -> None:
    assert run("vm", "list") == 0
    assert "$(reboot) '家'" in capsys.readouterr().out
    assert run("vm", "list", "--host", "alp", "--json") == 0
    assert [vm["name"] for vm in json.loads(capsys.readouterr().out)] == [
        "$(reboot) '家'",
        "home",
        "web",
    ]
    assert run("host", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "up"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("vm", "show", "hmoe"), 1, "There is no VM 'hmoe'. Did you mean home?"),
        (("vm", "start"), 2, "required: vm"),
        (("vm", "fly", "home"), 2, "invalid choice: 'fly'"),
        (("host", "remove", "gamma"), 1, "There is no host 'gamma'."),
        (("host", "add", "alpha", "root@b"), 1, "There is a host alpha already"),
        (("hots", "list"), 2, "Did you mean host"),
        (("vm", "list", "--hots", "a"), 2, "unrecognized arguments"),
        (("vm", "reboot", "home"), 1, "home is not on: it is shut off."),
    ],
)
def test_wrong_use_and_refusals(
    alpha: Host, capsys: Capture, words: tuple[str, ...], status: int, sentence: str
) -> None:
    assert run(*words) == status
    said = capsys.readouterr()
    assert sentence in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)


def options(**changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**({"no_wait": False, "json": False} | changes))


def job(**changes: Any) -> Job:
    fields: dict[str, Any] = {"kind": "power", "title": "Start home", "state": State.RUNNING}
    return Job.objects.create(**(fields | changes))


def end(one: Job, state: State = State.DONE, sentence: str = "home runs on alpha.") -> None:
    ledger.add_line(one.pk, "asking libvirt")
    ledger.finish(one.pk, state, sentence, result={"vm": "home"})


def test_a_job_that_is_done_says_so_once(db: None, capsys: Capture) -> None:
    one = job()
    end(one)
    assert waiting.follow(one, options()) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("home runs on alpha.\n", "asking libvirt\n")
    assert waiting.follow(one, options(json=True)) == 0
    assert json.loads(capsys.readouterr().out) == {"vm": "home"}


def test_a_job_that_failed_is_one_sentence_on_standard_error(db: None, capsys: Capture) -> None:
    one = job()
    end(one, State.FAILED, "alpha does not answer.")
    assert waiting.follow(one, options(json=True)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["asking libvirt", "alpha does not answer."]


def test_no_wait_gives_the_job(db: None, capsys: Capture) -> None:
    one = job(state=State.WAITING)
    assert waiting.follow(one, options(no_wait=True, json=True)) == 0
    assert json.loads(capsys.readouterr().out) == {"job": one.pk}


def test_leaving_says_that_the_job_goes_on(
    db: None, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    one = job()
    assert waiting.follow(one, options()) == 130
    assert f"./panel job cancel {one.pk}" in capsys.readouterr().err
    one.refresh_from_db()
    assert (one.state, one.cancel_asked) == (State.RUNNING, False)


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_when_another_process_ends_the_job(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    one = job(progress=40, bytes_per_second=2.0**20, phase="copying")
    worker = threading.Timer(0.2, end, [one])
    worker.start()
    assert waiting.follow(one, options()) == 0
    worker.join()
    said = capsys.readouterr()
    assert "40 %" in said.err
    assert "1 MiB/s" in said.err
    assert said.out == "home runs on alpha.\n"


def test_a_database_that_cannot_be_used_is_one_sentence(
    db: None, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise DatabaseError("file is not a database")

    monkeypatch.setattr("labpanel.home.verbs.vm.list.listed_vms", broken)
    assert run("vm", "list") == 1
    said = capsys.readouterr().err
    assert said.startswith("The panel's database is damaged. Stop the panel; `./panel up` then")
    assert len(said.splitlines()) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("words", [["help"], ["jobs"]])
def test_a_reader_that_leaves_early_is_no_error(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert Command().dispatch(words) == 141
