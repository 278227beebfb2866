"""Manifests as closed values, and their signatures: what does not fit is named, and no more."""

import hashlib
import hmac
import json
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backups.rules.backup.left_out import UNKNOWN, sentence, sentences
from backups.rules.copies.trust import displaces, doubt
from labpanel.lib.left_out import LeftOut, LeftOutKind
from labpanel.lib.store_format import signature
from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.store_format.reading import checked, parse
from labpanel.lib.store_format.signature import SignatureVerdict, judge, key_id, sign
from labpanel.lib.strict_json import Malformed
from tests.made_manifests import (
    asked_disk,
    canonical,
    identity,
    identity_digest,
    sealed,
    whole,
    written,
)

KEY = bytes(range(32))
MADE = whole(disks=[asked_disk("vda", 1 << 30), asked_disk("vdb", 8, unreadable=[[0, 4]])])
# A whole run takes some minutes on a slow core; by default a twentieth.
MUTATIONS = int(os.environ.get("LABPANEL_MUTATIONS", "5000"))
Change = Callable[[dict[str, Any]], object]


def signed(made: dict[str, Any], key: bytes) -> dict[str, Any]:
    return signature.signed(checked(made), key).as_json()


def changed(change: Change) -> dict[str, Any]:
    made = json.loads(json.dumps(MADE))
    change(made)
    return sealed(made)


def test_a_real_one_is_read_into_values() -> None:
    found = checked(MADE)
    assert [disk.target for disk in found.disks] == ["vda", "vdb"]
    assert found.disks[1].unreadable == ((0, 4),)
    assert found.taken_at == datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
    assert found.digests_of_files.keys() == {"domain.xml", "RECOVER.txt"}


def test_what_is_not_in_a_copy_is_read_and_an_older_one_does_not_say() -> None:
    assert checked(MADE).left_out is None
    assert checked(changed(lambda m: m.update(left_out=[]))).left_out == ()
    said = (
        LeftOut(LeftOutKind.TPM, "TPM 2.0"),
        LeftOut(LeftOutKind.KERNEL, "/boot/k", "It is a folder."),
    )
    found = checked(changed(lambda m: m.update(left_out=[one.as_json() for one in said])))
    assert found.left_out == said
    assert checked(found.as_json()).left_out == said
    assert found.identity_digest != identity_digest(MADE)  # signed with the rest


def test_every_kind_has_its_sentence_and_no_name_breaks_one() -> None:
    for kind in LeftOutKind:
        told = sentence(LeftOut(kind, "vda\u202e {0} {x}", "So it is."))
        assert "vda\\u202e {0} {x}" in told
        assert told.endswith("So it is.")
    assert sentences(()) == []
    assert sentences(None) == [UNKNOWN]


ONE = {"kind": "tpm", "subject": "TPM 2.0"}
WRONG: list[tuple[Change, str]] = [
    (lambda m: m.update(left_out=None), "left_out is not a list"),
    (lambda m: m.update(left_out=[ONE] * 257), "left_out has more than 256 entries"),
    (lambda m: m.update(left_out=[{**ONE, "kind": "soul"}]), "left_out[0].kind is none of tpm,"),
    (lambda m: m.update(left_out=[{"kind": "tpm"}]), "left_out[0].subject is missing"),
    (lambda m: m.update(left_out=[{**ONE, "subject": "x" * 1025}]), "more than 1024 characters"),
    (lambda m: m.update(left_out=[{**ONE, "why": "a\nb"}]), "holds control characters"),
    (lambda m: m.update(left_out=[{**ONE, "more": 1}]), "left_out[0].more is not known here"),
    (lambda m: m["disks"][0].update(target="../victim"), "is not the name of a virtual disk"),
    (lambda m: m["disks"][0].update(file="../vda.qcow2"), "disks[0].file is not vda.qcow2"),
    (lambda m: m["disks"][0].update(file="vdb.qcow2"), "disks[0].file is not vda.qcow2"),
    (lambda m: m["disks"][0]["digests"].update(file="/etc/shadow"), "is not vda.digests"),
    (lambda m: m["disks"][0].update(parent="../x"), "disks[0].parent is not the name of"),
    (lambda m: m["disks"][0].update(parent=m["generation"]), "vda backs on itself"),
    (lambda m: m["disks"][0].update(virtual_bytes=-1), "virtual_bytes is out of range"),
    (lambda m: m["disks"][0].update(virtual_bytes=2**60), "virtual_bytes is out of range"),
    (lambda m: m["disks"][0].update(virtual_bytes=True), "virtual_bytes is not a whole number"),
    (lambda m: m["disks"][0].update(source_format="vmdk"), "source_format is none of raw, qcow2"),
    (lambda m: m["disks"][0].update(unreadable=[[4, 4]]), "holds an empty range"),
    (lambda m: m["disks"][0].update(unreadable=[[0, 2**40]]), "is out of range"),
    (lambda m: m["disks"][0].update(missed=[[0, 1]] * 20_001), "more than 20000"),
    (lambda m: m["disks"][0].update(seconds="1"), "seconds is not a number"),
    (lambda m: m["disks"].clear(), "it has no disk"),
    (lambda m: m["disks"].append(m["disks"][0]), "a disk comes twice"),
    (lambda m: m["disks"].extend([m["disks"][0]] * 200), "more than 128 entries"),
    (lambda m: m["files"].update({"../x": "f" * 64}), "cannot be a small file"),
    (lambda m: m["files"].update({"vda.qcow2": "f" * 64}), "cannot be a small file"),
    (lambda m: m["files"].update({"manifest.json": "f" * 64}), "cannot be a small file"),
    (lambda m: m.update(taken_at="2026-11-22T23:15:00"), "with a time zone"),
    (lambda m: m.update(taken_at="9999-11-22T23:15:00+00:00"), "of these centuries"),
    (lambda m: m.update(taken_at="yesterday"), "not a date and time"),
    (lambda m: m["vm"].update(uuid="../../etc"), "vm.uuid is not a UUID"),
    (lambda m: m["vm"].update(name="a\x1b[2J"), "vm.name holds control characters"),
    (lambda m: m["vm"].update(name="a/b"), "vm.name is not a VM's name"),
    (lambda m: m.update(format=3), "the format 3"),
    (lambda m: m.update(format=True), "format is not a whole number"),
    (lambda m: m.update(nvram="../x"), "nvram is not an absolute path"),
    (lambda m: m.update(checkpoint="a'/><x"), "checkpoint is not the name of a checkpoint"),
    (lambda m: m.update(signature={"key": "x", "hmac": "y"}), "signature.key is not"),
    (lambda m: m.update(surprise=1), "surprise is not known here"),
    (lambda m: m["disks"][1].update(surprise=1), "disks[1].surprise is not known here"),
    (lambda m: m.pop("host"), "host is missing"),
    (lambda m: m.update(consistency="perfect"), "consistency is none of"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_does_not_fit_is_named(change: Change, words: str) -> None:
    with pytest.raises(Malformed) as error:
        checked(changed(change))
    assert words in str(error.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"format":1}',
        b'{"format":1,"disks":[{"file":5}]}',
        b'{"format":2,"format":2}',
        b'{"format":NaN}',
        b'{"format":1e999}',
        b'{"format":' + b"1" * 5000 + b"}",
        b"\xff\xfe",
        b'"\\ud800"',
        b" " * (5 << 20),
    ],
    ids=range(12),
)
def test_no_bytes_get_past_the_parser(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse(raw)


ODD: list[object] = [
    *(
        None,
        True,
        -1,
        0,
        2**63,
        2**200,
        1.5,
        float("inf"),
        float("nan"),
        "",
        "\0",
        "../x",
        "\ud800",
    ),
    *("x" * 5000, [], {}, [[]], [None], {"": {}}, [[0, 1], [1]], "2026", "-rf", "\x1b[2J"),
]


def mutated(chance: random.Random, value: Any) -> Any:
    """The value with one thing in it changed, dropped, doubled or put elsewhere."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        made = dict(value)
        key = chance.choice(list(made))
        match chance.randrange(8):
            case 0:
                del made[key]
            case 1:
                made[chance.choice(["", "x", "../x", "parent", "signature", "\ud800"])] = made[key]
            case _:
                made[key] = mutated(chance, made[key])
        return made
    if isinstance(value, list) and value and chance.random() < 0.9:
        entries = list(value)
        at = chance.randrange(len(entries))
        entries[at] = mutated(chance, entries[at])
        return entries if chance.random() < 0.9 else entries * chance.randrange(3)
    if isinstance(value, str) and value and chance.random() < 0.5:
        at = chance.randrange(len(value))
        return value[:at] + chance.choice(["", "\0", "/", "..", "9", "\n", "é"]) + value[at + 1 :]
    if isinstance(value, int) and chance.random() < 0.5:
        return value * chance.choice([-1, 2, 10**18]) + chance.randrange(-1, 2)
    return chance.choice(ODD)


def test_mutations_are_read_or_refused_and_a_signature_never_lies() -> None:
    chance, good = random.Random(20261127), signed(MADE, KEY)
    facts = identity_digest(good)
    read = 0
    for number in range(MUTATIONS):
        made = mutated(chance, good)
        if number % 2 and isinstance(made, dict):
            try:
                made = sealed(made)  # a forger seals it, too
            except (LookupError, TypeError, ValueError, AttributeError):
                continue
        found = read_or_refused(made)
        if found is not None:
            read += 1
            assert found.as_json() == made
            assert canonical(found.as_json()) == canonical(made)
            same = found.identity_digest == facts
            assert (judge(found, KEY) is SignatureVerdict.OURS) <= same, made
    assert read > MUTATIONS // 100
    raw = json.dumps(good).encode()
    for _ in range(MUTATIONS // 5):
        at, length = chance.randrange(len(raw)), chance.randrange(1, 30)
        piece = chance.randbytes(length) if chance.random() < 0.5 else raw[at : at + length] * 2
        with_piece = raw[:at] + piece + raw[at + length :]
        try:
            parse(with_piece)
        except Malformed as error:
            assert str(error)


OLDER: list[tuple[str, Change]] = [
    ("optional keys are missing", lambda m: [m.pop(key) for key in OPTIONAL]),
    ("and those of disks", lambda m: [m["disks"][0].pop(key) for key in OPTIONAL_OF_DISKS]),
    ("no parent is an empty text", lambda m: m["disks"][0].update(parent="")),
    ("no parent is not said", lambda m: m["disks"][0].pop("parent")),
    ("nor the one before", lambda m: (m.update(parent=""), m.pop("parent_content"))),
    ("null where there is no file", lambda m: m.update(nvram=None, signature=None)),
    ("whole seconds", lambda m: m["disks"][0].update(seconds=1)),
    ("Zulu", lambda m: m.update(taken_at="2026-11-22T23:15:00Z")),
    ("another zone", lambda m: m.update(taken_at="2026-11-23T00:15:00.500000+01:00")),
    ("nothing left out", lambda m: m.update(left_out=[])),
    ("why is empty", lambda m: m.update(left_out=[{**ONE, "why": ""}])),
    ("any order of files", lambda m: m.update(files={"b": "1" * 64, "a": "2" * 64})),
]
OPTIONAL: tuple[str, ...] = (
    "policy",
    "not_quiesced",
    "nvram",
    "libvirt",
    "qemu",
    "boot",
    "checkpoint",
)
OPTIONAL_OF_DISKS: tuple[str, ...] = (
    "why",
    "unreadable",
    "missed",
    "stamps",
    "node",
    "candidate_bytes",
)


@pytest.mark.parametrize("change", [change for _, change in OLDER], ids=[name for name, _ in OLDER])
def test_what_older_versions_wrote_is_written_again_byte_for_byte(change: Change) -> None:
    made = changed(change)
    found = checked(made)
    assert found.written() == written(made).encode()
    assert canonical(found.identity()) == canonical(identity(made))
    assert parse(found.written()) == found


def test_format_1_has_no_seal_until_it_is_merged() -> None:
    bare = {key: MADE[key] for key in MADE if key not in {"seal", "content"}} | {"format": 1}
    found = checked(bare)
    assert found.as_json() == bare
    assert found.sealed().as_json() == sealed(bare)
    merged = found.with_disks(
        (found.disks[0].stored(file_bytes=7, sha256="1" * 64), found.disks[1])
    )
    bare["disks"] = [{**bare["disks"][0], "file_bytes": 7, "sha256": "1" * 64}, bare["disks"][1]]
    assert merged.as_json() == sealed(bare)


def test_a_merge_writes_the_parent_as_this_version_does() -> None:
    bare = changed(lambda m: m["disks"][0].pop("parent"))
    disk = checked(bare).disks[0].stored(file_bytes=7, sha256="1" * 64, parent="")
    assert disk.as_json()["parent"] is None
    kept = checked(bare).disks[0].stored(file_bytes=7, sha256="1" * 64)
    assert "parent" not in kept.as_json()


def test_what_this_version_writes_needs_no_other_spelling() -> None:
    full = {"alike_bytes": 1, "lost_bytes": 2, "chain": ["/srv/base.qcow2"], "inode": 3}
    made = whole(disks=[asked_disk("vda", 1 << 30, **full)], left_out=[ONE])
    found = checked(made)
    assert found.spelling == ()
    assert [disk.spelling for disk in found.disks] == [()]
    assert found.written() == written(made).encode()


def test_the_signature_of_before_holds() -> None:
    """The message as it was signed before manifests were values."""
    message = b"labpanel generation 1\0" + canonical(identity(MADE))
    made = hmac.new(KEY, message, hashlib.sha256).hexdigest()
    assert sign(checked(MADE), KEY).hmac == made


def read_or_refused(value: object) -> Manifest | None:
    """As from a script's answer; whatever is wrong is a sentence."""
    try:
        return checked(value)
    except Malformed as error:
        assert str(error)
        return None


def test_a_signature_fits_what_a_merge_leaves_and_nothing_else() -> None:
    good = signed(MADE, KEY)
    assert judge(checked(good), KEY) is SignatureVerdict.OURS
    assert judge(checked(good), bytes(32)) is SignatureVerdict.NONE
    assert judge(checked(MADE), KEY) is SignatureVerdict.NONE
    merged = json.loads(json.dumps(good))
    merged["disks"][0] |= {
        "parent": "20261101T231500Z-abc123",
        "file_bytes": 77,
        "sha256": "1" * 64,
        "digests": {"file": "vda.digests", "sha256": "2" * 64},
    }
    assert judge(checked(sealed(merged)), KEY) is SignatureVerdict.OURS
    changes: list[Change] = [
        lambda m: m["disks"][0].update(root="1" * 64),
        lambda m: m["files"].update({"domain.xml": "1" * 64}),
        lambda m: m.update(store_id="another"),
        lambda m: m.update(taken_at="2026-11-23T23:15:00+00:00"),
        lambda m: m["vm"].update(name="web"),
        lambda m: m["disks"][0].update(stamps=[1, 2, 3, 4]),
        lambda m: m["disks"].pop(),
    ]
    for change in changes:
        forged = json.loads(json.dumps(good))
        change(forged)
        assert judge(checked(sealed(forged)), KEY) is SignatureVerdict.FORGED


def test_the_name_of_a_key_tells_nothing_of_it() -> None:
    assert sign(checked(MADE), KEY).key == key_id(KEY)
    assert key_id(KEY) not in KEY.hex()


def test_what_counts_for_nothing_says_why() -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    assert doubt("signed", now + timedelta(minutes=59), now) == ""
    assert "which is in the future" in doubt("signed", now + timedelta(minutes=61), now)
    assert "without this panel's signature" in doubt("strange", now, now)
    assert "does not carry" in doubt("forged", now, now)
    assert doubt("unsigned", now, now) == ""
    counting = [displaces(trust, now, now) for trust in ("signed", "unsigned", "strange", "forged")]
    assert counting == [True, False, False, False]
    assert not displaces("signed", now + timedelta(days=365), now)
