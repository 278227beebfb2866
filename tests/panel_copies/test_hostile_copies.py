"""Files that claim to be copies of a panel: refused with one sentence, within bounded memory."""

import base64
import hashlib
import json
import tarfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.here import age, copy_file
from labpanel.adapters.here.age import CopyKey
from labpanel.adapters.here.copy_file import KEY, PANEL, RECOVER
from labpanel.lib.panel_copy import CONTENTS, PARTS, Contents, NotACopy, Part, parse_contents
from tests.panel_copies.conftest import PASSPHRASE, passphrase

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
BODY = b"the database"


def member(name: str, data: bytes, **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def archive(*members: tuple[tarfile.TarInfo, bytes], form: Any = tarfile.USTAR_FORMAT) -> bytes:
    text = b""
    for info, data in members:
        text += info.tobuf(form) + data + bytes(-len(data) % 512)
    return text + bytes(1024)


def contents(*parts: Part) -> bytes:
    return Contents(NOW, "7d0e5a52", parts).as_text().encode()


def part(data: bytes = BODY, **more: Any) -> Part:
    words = {"name": "database.sqlite3", "size": len(data)}
    return Part(**{**words, "sha256": hashlib.sha256(data).hexdigest(), **more})


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def sealed(key: CopyKey, inner: bytes) -> bytes:
    """A whole copy around an inner archive: the attacker even knows the key."""
    recipient = pyrage.x25519.Recipient.from_str(key.recipient)
    return archive(
        member(RECOVER, b"read me"),
        member(KEY, key.sealed.encode()),
        member(PANEL, pyrage.encrypt(gzipped(inner), [recipient])),
    )


def refused(data: bytes, folder: Path) -> str:
    path, work = folder / "copy.tar", folder / "work"
    path.write_bytes(data)
    work.mkdir(exist_ok=True)
    with pytest.raises((NotACopy, AdapterError)) as error:
        copy_file.unpack(path, passphrase, work)
    assert str(error.value).endswith(".")
    assert {each.parent for each in folder.rglob("*") if each.is_file()} <= {folder, work}
    return str(error.value)


def test_a_good_one_is_opened(key: CopyKey, tmp_path: Path) -> None:
    path = tmp_path / "copy.tar"
    path.write_bytes(
        sealed(key, archive(member(CONTENTS, contents(part())), member("database.sqlite3", BODY)))
    )
    found = copy_file.unpack(path, passphrase, tmp_path)
    assert found.files["database.sqlite3"].read_bytes() == BODY


@pytest.mark.parametrize(
    "odd",
    [
        member(RECOVER, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member(RECOVER, b"", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        member(RECOVER, b"", type=tarfile.CHRTYPE),
        member(RECOVER, b"", type=tarfile.FIFOTYPE),
        member(RECOVER, b"", type=tarfile.DIRTYPE),
        member("../" + RECOVER, b"x"),
        member("/" + RECOVER, b"x"),
        member("./" + RECOVER, b"x"),
        member(RECOVER, b"x" * 20_000),
        member(KEY, b"x"),
    ],
    ids=lambda value: f"{value[0].name} {value[0].type!r} {value[0].size}",
)
def test_an_outer_member_that_is_not_ours(
    odd: tuple[tarfile.TarInfo, bytes], tmp_path: Path
) -> None:
    assert "not a copy of a panel" in refused(archive(odd), tmp_path)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_headers_are_not_taken_into_memory(form: int, tmp_path: Path) -> None:
    """tarfile would read the whole extended header (pax(1)), however long it says it is."""
    long = member("n" * 3000, b"x", pax_headers={"comment": "c" * 100_000})
    assert "not a copy of a panel" in refused(archive(long, form=form), tmp_path)


def test_a_size_that_the_file_does_not_have(key: CopyKey, tmp_path: Path) -> None:
    info, _ = member(PANEL, b"")
    info.size = 7 << 30
    text = archive(member(RECOVER, b"x"), member(KEY, key.sealed.encode()))[:-1024]
    assert refused(text + info.tobuf(tarfile.USTAR_FORMAT) + b"short", tmp_path)


INNER: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: bytes(1024),
    "no manifest": lambda: archive(member("database.sqlite3", BODY)),
    "another name": lambda: archive(
        member(CONTENTS, contents(part())), member("../../etc/cron.d/x", BODY)
    ),
    "a link": lambda: archive(
        member(CONTENTS, contents(part())),
        member("database.sqlite3", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    ),
    "another size": lambda: archive(
        member(CONTENTS, contents(part(size=5))), member("database.sqlite3", BODY)
    ),
    "another content": lambda: archive(
        member(CONTENTS, contents(part(b"the databasE"))), member("database.sqlite3", BODY)
    ),
    "one too many": lambda: archive(
        member(CONTENTS, contents(part())),
        member("database.sqlite3", BODY),
        member("extra", b"x"),
    ),
    "too early an end": lambda: archive(
        member(CONTENTS, contents(part())), member("database.sqlite3", BODY)
    )[:1540],
    "more than fits": lambda: archive(
        member(CONTENTS, contents(part(size=(8 << 30) - 1))), member("database.sqlite3", BODY)
    ),
    "a manifest without end": lambda: archive(member(CONTENTS, b"[" * 100_000)),
    "deep brackets": lambda: archive(member(CONTENTS, b"[" * 60_000)),
}


@pytest.mark.parametrize("what", INNER)
def test_an_inner_archive_that_is_not_what_it_announces(
    key: CopyKey, tmp_path: Path, what: str
) -> None:
    refused(sealed(key, INNER[what]()), tmp_path)


def test_a_bomb_stops_at_what_was_announced(key: CopyKey, tmp_path: Path) -> None:
    """64 MiB of zeros in 64 KiB, where the manifest announces twelve bytes."""
    inner = archive(member(CONTENTS, contents(part())))[:-1024]
    refused(sealed(key, inner + bytes(64 << 20)), tmp_path)
    assert max(each.stat().st_size for each in (tmp_path / "work").iterdir()) < 1 << 20


def test_what_is_no_gzip(key: CopyKey, tmp_path: Path) -> None:
    recipient = pyrage.x25519.Recipient.from_str(key.recipient)
    text = archive(
        member(RECOVER, b""),
        member(KEY, key.sealed.encode()),
        member(PANEL, pyrage.encrypt(b"plain", [recipient])),
    )
    assert "cannot be decompressed" in refused(text, tmp_path)


def test_a_key_that_would_take_all_memory_is_not_tried() -> None:
    """scrypt's cost stands in the file: 2^30 would ask for 1 TiB."""
    whole = pyrage.passphrase.encrypt(b"x", PASSPHRASE)
    head, _, rest = whole.partition(b"\n-> scrypt ")
    salt, _, after = rest.partition(b" ")
    costly = head + b"\n-> scrypt " + salt + b" 30" + after[after.index(b"\n") :]
    body = base64.b64encode(costly).decode()
    text = f"-----BEGIN AGE ENCRYPTED FILE-----\n{body}\n-----END AGE ENCRYPTED FILE-----\n"
    with pytest.raises(Refused, match="not one that labpanel made"):
        age.open_key(text, PASSPHRASE)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_any_text_as_a_key(text: str) -> None:
    with pytest.raises(AdapterError):
        age.open_key(text, PASSPHRASE)


GOOD = json.loads(contents(part(), Part("panel-id", 3, "0" * 64)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*PARTS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=700, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_changed_manifest_is_refused_or_means_the_same(data: st.DataObject) -> None:
    value = json.loads(json.dumps(GOOD))
    inner = value["parts"][0]
    where = data.draw(st.sampled_from([value, inner]))
    where[data.draw(st.sampled_from([*where]) | st.text())] = data.draw(VALUES)
    try:
        found = parse_contents(json.dumps(value).encode())
    except NotACopy:
        return
    assert {part.name for part in found.parts} <= set(PARTS)
    assert all(0 <= part.size <= PARTS[part.name] for part in found.parts)
    assert found.made_at.tzinfo is not None


@given(st.binary(max_size=3000))
@settings(max_examples=500, deadline=None)
def test_any_bytes_as_a_manifest(data: bytes) -> None:
    with pytest.raises(NotACopy):
        parse_contents(data)
