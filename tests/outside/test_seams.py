"""The places where a host's words become a sentence of the panel: real commands, real lines."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest

from labpanel.adapters.errors import AdapterError, CommandFailed
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.openssh import explain
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.lib.shapes import PANEL, Endpoint
from labpanel.supervise.child import Child
from labpanel.supervise.logs import DATE_FORMAT, FORMAT, Short
from labpanel.supervise.services import Service
from tests.outside.words import ALL, FLOOD, raw

SAYING = "import sys; sys.stderr.buffer.write(bytes.fromhex(sys.argv[1])); sys.exit(3)"


def harmless(error: AdapterError) -> bool:
    assert len(error.sentence) <= 2000
    return raw(error.sentence) == [] and raw(error.detail, "\n") == [] and raw(str(error)) == []


@pytest.fixture
def hostile_machines() -> None:
    """Not here: the commands are run."""


@pytest.mark.parametrize("said", [ALL, FLOOD], ids=["all", "flood"])
def test_what_a_command_says_at_its_end(said: str) -> None:
    words = ["python3", "-c", SAYING, said.replace("\n", " ").encode()[:20_000].hex()]
    with pytest.raises(CommandFailed) as caught:
        Machine(PANEL).run(words, deadline=60)
    assert harmless(caught.value)
    assert "\\x" in caught.value.sentence


def test_what_ssh_and_a_script_say() -> None:
    far = Endpoint("far", "root@far.example")
    assert harmless(explain(far, ALL))
    refused = ScriptRefused("full", f"The store is full: {ALL}")
    assert harmless(refused)
    assert "x-hostile" in refused.sentence


def test_what_a_process_of_the_panel_prints() -> None:
    """Line by line into the log, under the name of the process, whatever the line says."""
    script = f"import sys; sys.stdout.buffer.write({json.dumps(ALL)}.encode('utf-8', 'replace'))"
    child = Child(Service("web", ("python3", "-c", script)))
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Short(FORMAT, DATE_FORMAT))
    child.log.addHandler(handler)
    child.log.setLevel(logging.INFO)
    try:
        with ThreadPoolExecutor(1) as aside:  # the browser tests leave a loop in this thread
            aside.submit(asyncio.run, child._run()).result()
    finally:
        child.log.removeHandler(handler)
    lines = written.getvalue().splitlines()
    assert "x-hostile" in written.getvalue()
    assert all(line[24:33] == " web   | " for line in lines), lines
    assert raw(written.getvalue(), "\n") == []
