"""The documents name files that exist."""

import re
import subprocess
from pathlib import Path

import pytest

from labpanel.env import REPOSITORY

DOCUMENTS = sorted((REPOSITORY / "docs").glob("*.md"))
_NAMED = re.compile(r"[\w/{},.-]*\w\.py\b")


@pytest.fixture(scope="module")
def paths() -> list[str]:
    words = ["git", "ls-files", "-co", "--exclude-standard", "*.py"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [f"/{line}" for line in done.stdout.splitlines()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(document: Path, paths: list[str]) -> None:
    named = {
        name.lstrip("/") for name in _NAMED.findall(document.read_text("utf-8")) if "{" not in name
    }
    gone = [name for name in sorted(named) if not any(at.endswith(f"/{name}") for at in paths)]
    assert gone == []
