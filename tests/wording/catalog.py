"""The catalog of all that a user can read: locale/en/LC_MESSAGES/django.po.

`./panel messages` writes it: the marked texts of the templates, as Django's own `makemessages`
finds them, and the sentences of the Python files, with the files where each stands. `--check` says
whether the committed one still holds the same texts. Debian's gettext (xgettext) collects them.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from django.utils.translation.template import templatize

from tests.wording.sentences import ROOT, product, sentences

CATALOG = ROOT / "locale" / "en" / "LC_MESSAGES" / "django.po"
HEADER = """\
# Everything that labpanel says, in English, by the file that says it. Written by ./panel messages.
msgid ""
msgstr ""
"Language: en\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""
_MESSAGE = re.compile(r'^msgid ((?:".*"\n)+)', re.MULTILINE)


def catalog() -> str:
    """The catalog as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        files = sorted([*_marked(Path(folder)), *_said(Path(folder))])
        command = [
            *("xgettext", "--language=Python", "--from-code=UTF-8", "--omit-header", "--no-wrap"),
            *("--add-location=file", "--sort-by-file", "--output=-", "--files-from=-"),
        ]
        done = subprocess.run(
            command, cwd=folder, input="\n".join(files), capture_output=True, text=True, check=True
        )
    return HEADER + done.stdout


def _marked(folder: Path) -> list[str]:
    """The templates as Python that xgettext reads, below `folder`; their paths there."""
    names = []
    for path in (ROOT / "templates").rglob("*.html"):
        name = str(path.relative_to(ROOT))
        _write(folder / name, templatize(path.read_text(encoding="utf-8"), origin=name))
        names.append(name)
    return names


def _said(folder: Path) -> list[str]:
    """The same for the sentences of the Python files, as calls that xgettext reads."""
    names = []
    for path in product():
        if found := sentences(path.read_text(encoding="utf-8")):
            name = str(path.relative_to(ROOT))
            _write(
                folder / name,
                "".join(f"gettext({json.dumps(text, ensure_ascii=False)})\n" for text in found),
            )
            names.append(name)
    return names


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def messages(catalog: str) -> set[str]:
    """The texts of a catalog, whatever their order and places."""
    return set(_MESSAGE.findall(catalog))


def main(words: list[str]) -> int:
    fresh = catalog()
    if words != ["--check"]:
        _write(CATALOG, fresh)
        print(f"{CATALOG.relative_to(ROOT)} holds {len(messages(fresh)) - 1} texts.")
        return 0
    there = messages(CATALOG.read_text(encoding="utf-8")) if CATALOG.exists() else set()
    differ = sorted(messages(fresh) ^ there)
    for text in differ[:10]:
        print(f"{'stale' if text in there else 'missing'}: {text.strip()}")
    if differ:
        print(f"The catalog is stale in {len(differ)} texts: ./panel messages writes it anew.")
    return bool(differ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
