"""Every verb on a panel full of hostile words, and with hostile words for each of its arguments.

The verbs and their arguments are read from the registry: a new one is included.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.models import Policy
from labpanel.cli.management.commands.panel import Command, names
from labpanel.jobs import waiting
from labpanel.jobs.models import Job, JobLine
from labpanel.jobs.states import State
from labpanel.verbs import catalog
from tests.outside.methods import undone
from tests.outside.words import ALL, FLOOD, raw
from tests.pages.lab import Lab

Capture = pytest.CaptureFixture[str]
TYPED = (ALL.replace("\0", ""), "y" * 300, "")


def leaves(
    parser: argparse.ArgumentParser, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[argparse.Action]]]:
    """Each verb or action of it: the words that lead there, and its arguments."""
    branches = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    for branch in branches:
        for word, below in branch.choices.items():
            yield from leaves(below, (*before, word))
    if not branches:
        wanted = [one for one in parser._actions if not isinstance(one, argparse._HelpAction)]
        yield before, wanted


def everything() -> Iterator[tuple[tuple[str, ...], list[argparse.Action]]]:
    for name in names():
        yield from leaves(catalog.parser(name), (name,))


def fitting(lab: Lab, words: tuple[str, ...], action: argparse.Action, tmp: Path) -> list[str]:
    """Words for one argument that name something that there is."""
    policy = Policy.objects.get().name
    named = {"host": lab.alpha.name, "store": lab.store.name, "policy": policy}
    known = {
        "vm": str(lab.home.uuid), "host": lab.alpha.name, "to": lab.beta.name, "on": lab.beta.name,
        "store": lab.store.name, "generation": lab.generation.key, "job": str(lab.job.pk),
        "name": named.get(words[0], "fresh"), "target": "root@127.0.0.1", "policy": policy,
        "disk": "vda", "until": "2036-01-01", "cron": "0 2 * * *", "timezone": "UTC",
        "window": "01:00-05:00", "local": str(tmp / "store"), "path": str(tmp / "path"),
    }  # fmt: skip
    if action.choices:
        return [str(next(iter(action.choices)))]
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        return []
    count = action.nargs if isinstance(action.nargs, int) else 1
    return [known.get(action.dest, "3" if action.type else str(tmp / "file"))] * count


def typed(
    lab: Lab, words: tuple[str, ...], actions: list[argparse.Action], tmp: Path
) -> Iterator[list[str]]:
    """The verb as it is meant, as JSON, with each option, and with each argument hostile."""

    def line(odd: argparse.Action | None = None, text: str = "", *more: str) -> list[str]:
        options, rest = [*more], []
        for one in actions:
            values = fitting(lab, words, one, tmp)
            if one is odd and values:
                values = [text] * len(values)
            if not one.option_strings:
                rest += values if one.required or one is odd else []
            elif one.required or one is odd or one.dest in {"no_wait", "yes"}:
                flag = one.option_strings[0]
                options += [f"{flag}={values[0]}"] if len(values) == 1 else [flag, *values]
        return [*words, *options, "--", *rest] if rest else [*words, *options]

    yield line()
    if any(one.dest == "json" for one in actions):
        yield line(None, "", "--json")
    for one in actions:
        for text in (*fitting(lab, words, one, tmp)[:1], *TYPED):
            yield line(one, text)


def broken(line: list[str], status: object, said: str) -> str:
    """What is wrong with how a verb ended; empty if nothing is."""
    if status not in {0, 1, 2}:
        return f"it ended with {status!r}"
    if raw(said, "\n"):
        return f"it printed {raw(said, chr(10))}"
    if max(map(len, said.splitlines()), default=0) > 25_000:
        return "it printed an endless line"
    return "" if said.strip() or status == 0 else "it said nothing"


def test_every_verb(soiled: Lab, capsys: Capture, tmp_path: Path) -> None:
    ended: list[object] = []
    faults, shown = [], 0
    for words, actions in everything():
        for line in typed(soiled, words, actions, tmp_path):
            status: object
            with undone():
                try:
                    status = Command().dispatch(line)
                except Exception as error:  # noqa: BLE001 - all faults of all verbs are wanted
                    status = error
            said = capsys.readouterr()
            fault = broken(line, status, said.out + said.err)
            faults += [(line, fault)] if fault else []
            ended.append(status)
            shown += status == 0 and "x-hostile" in said.out
    assert not faults
    assert ended.count(0) > 30
    assert shown > 15


@pytest.mark.parametrize("text", [*TYPED[:-1], FLOOD, "../../etc", "__init__", "\udcff"])
def test_a_verb_that_is_none(text: str, capsys: Capture) -> None:
    assert Command().dispatch([text]) == 2
    assert raw(capsys.readouterr().err, "\n") == []


@pytest.mark.parametrize("text", [FLOOD, "\udcff"])
def test_an_argument_that_no_verb_takes(text: str, capsys: Capture) -> None:
    assert Command().dispatch(["jobs", text]) == 2
    assert len(capsys.readouterr().err) < 150


def test_the_lines_of_a_job(soiled: Lab, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they were stored by a panel that did not know better yet, on a pipe and on a terminal."""
    job = Job.objects.create(kind="backup", title=ALL, phase=ALL, progress=40, sentence=ALL)
    JobLine.objects.create(job=job, text=ALL)
    display = waiting._Terminal()
    display.progress(job)
    display.lines(job)
    display.clear()
    said = capsys.readouterr()
    assert raw((said.out + said.err).replace("\r\x1b[K", ""), "\n") == []
    Job.objects.filter(pk=job.pk).update(state=State.FAILED)
    options = argparse.Namespace(no_wait=False, json=False)
    assert waiting.follow(job, options) == 1
    said = capsys.readouterr()
    assert "x-hostile" in said.err
    assert raw(said.out + said.err, "\n") == []
