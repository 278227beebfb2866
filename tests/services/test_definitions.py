"""A restored definition that reaches into its host: asked for, left out, or taken at its word."""

import hashlib
import re

import pytest

from backups.models import Generation
from backups.services.instant import run_instant
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from backups.services.restore.restore import restore
from hosts.models import Host
from labpanel.cli.management.commands.panel import run_verb
from labpanel.jobs import work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.definition import SILENCE, OwnersWord, Word
from tests.fakes.backing_up import Scene
from tests.made_manifests import with_files
from tests.services.test_instant import scene as instant_scene  # noqa: F401 - a fixture
from tests.services.test_restore import generation, scene  # noqa: F401 - fixtures

FOLDER = (
    "<filesystem type='mount' accessmode='passthrough'><source dir='/'/><target dir='r'/>"
    "</filesystem>"
)
QEMU = (
    "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<q:arg value='pwned-by-store'/></q:commandline>"
)
DROP = Word(OwnersWord.DROP)
# What changes a host: none of these may be asked before the definition is agreed to and checked.
MAKING = {"images.create", "images.serve", "mover.restore", "put_over", "line.open", "define"}


def forged(scene: Scene, generation: Generation, device: str = FOLDER, top: str = QEMU) -> None:  # noqa: F811
    """A copy whose writer gave its VM more, with the digests to match: as a signed copy of a VM
    that really had it looks, too."""
    xml = scene.definition.replace("</devices>", f"{device}</devices>")
    scene.definition = xml.replace("</domain>", f"{top}</domain>")
    digest = hashlib.sha256(scene.definition.encode()).hexdigest()
    generation.manifest = with_files(generation.manifest, {"domain.xml": digest})
    generation.save()


def done(generation: Generation, word: Word = SILENCE, *, instant: bool = False) -> Job:  # noqa: F811
    wish = RestoreRequest(name="copy", word=word, instant=instant)
    job = ask_for_restore(generation, Host.objects.get(name="beta"), wish)
    work.perform(job.pk, run_instant.run_instant if instant else restore)
    job.refresh_from_db()
    return job


def code(job: Job) -> str:
    found = re.search(r"--accept-reach ([0-9a-f]{16})\b", job.sentence)
    assert found is not None, job.sentence
    return found[1]


def test_it_is_refused_with_what_it_is_and_nothing_is_made(
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    forged(scene, generation)
    job = done(generation)
    assert job.state == State.FAILED
    assert (
        "The definition of home gives it more of beta than a VM needs: (1) a folder of the host "
        "(filesystem: type=mount accessmode=passthrough, source dir=/, target dir=r); (2) "
        "arguments of its own to QEMU (commandline: arg value=pwned-by-store)."
    ) in job.sentence
    assert "--drop-reach" in job.sentence
    assert not MAKING & set(scene.asked)
    assert (scene.files, scene.domains) == (set(), {})


def test_an_instant_one_likewise(instant_scene: Scene, generation: Generation) -> None:  # noqa: F811
    forged(instant_scene, generation)
    job = done(generation, instant=True)
    assert job.state == State.FAILED
    assert "(1) a folder of the host" in job.sentence
    assert not MAKING & set(instant_scene.asked)
    assert done(generation, DROP, instant=True).state == State.DONE
    assert "pwned-by-store" not in instant_scene.defined[-1]


def test_left_out_it_is_a_vm_like_any_other(scene: Scene, generation: Generation) -> None:  # noqa: F811
    forged(scene, generation)
    job = done(generation, DROP)
    assert job.state == State.DONE, job.sentence
    assert "filesystem" not in scene.defined[0]
    assert "pwned-by-store" not in scene.defined[0]
    lines = [line.text for line in job.lines.all()]
    assert any(line.startswith("Left out: a folder of the host") for line in lines)


def test_at_the_owners_word_it_is_taken_as_it_is(scene: Scene, generation: Generation) -> None:  # noqa: F811
    forged(scene, generation)
    job = done(generation, Word(OwnersWord.ACCEPT, code(done(generation))))
    assert job.state == State.DONE, job.sentence
    assert "pwned-by-store" in scene.defined[0]
    assert any("The owner's word: it holds arguments" in line.text for line in job.lines.all())


def test_a_word_for_one_list_is_none_for_another(scene: Scene, generation: Generation) -> None:  # noqa: F811
    forged(scene, generation, top="")
    given = Word(OwnersWord.ACCEPT, code(done(generation)))
    forged(scene, generation, device="")
    assert done(generation, given).state == State.FAILED
    assert done(generation, Word(OwnersWord.ACCEPT, "")).state == State.FAILED
    assert scene.domains == {}


def test_what_this_host_gave_the_vm_itself_is_known(scene: Scene, generation: Generation) -> None:  # noqa: F811
    forged(scene, generation, top="")
    scene.own_definition = scene.definition
    assert done(generation).state == State.DONE
    scene.domains.clear()
    forged(scene, generation, device="")
    assert "(1) arguments of its own to QEMU" in done(generation).sentence


@pytest.mark.parametrize("known", ["<", "<!DOCTYPE x><domain/>", "<domain/>"])
def test_a_known_definition_that_makes_no_sense_vouches_for_nothing(
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
    known: str,
) -> None:
    forged(scene, generation)
    scene.own_definition = known
    assert done(generation).state == State.FAILED


def test_what_cannot_be_left_out_is_said(scene: Scene, generation: Generation) -> None:  # noqa: F811
    scene.definition = scene.definition.replace("type='kvm'", "type='lxc'")
    forged(scene, generation, "", "")
    for word in (SILENCE, DROP):
        job = done(generation, word)
        assert job.state == State.FAILED
        assert "another kind of hypervisor" in job.sentence
        assert "--drop-reach" not in job.sentence


def test_libvirt_is_asked_before_any_byte_is_copied(scene: Scene, generation: Generation) -> None:  # noqa: F811
    scene.against = "unsupported configuration: \x1b[31mTPM version '2.0' is not supported"
    job = done(generation)
    assert job.state == State.FAILED
    assert 'libvirt on beta does not take the definition of copy: "unsupported' in job.sentence
    assert "\x1b" not in job.sentence
    assert not MAKING & set(scene.asked)


def test_what_is_no_xml_is_one_sentence(scene: Scene, generation: Generation) -> None:  # noqa: F811
    scene.definition = "<domain>"
    forged(scene, generation, "", "")
    job = done(generation)
    assert job.state == State.FAILED
    assert "not well-formed XML" in job.sentence
    assert job.detail == "" or "Traceback" not in job.detail


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ((), ("", "")),
        (("--drop-reach",), ("drop", "")),
        (("--accept-reach", "0123456789abcdef"), ("accept", "0123456789abcdef")),
    ],
)
def test_the_word_on_the_command_line_goes_with_the_job(
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
    words: tuple[str, ...],
    kept: tuple[str, str],
) -> None:
    assert run_verb("restore", [generation.key, "--to", "beta", "--no-wait", *words]) == 0
    parameters = Job.objects.get().parameters
    assert (parameters["reach"], parameters["reach_code"]) == kept


@pytest.mark.parametrize(
    ("words", "status"),
    [(("--accept-reach", "yes"), 1), (("--accept-reach", "0" * 16, "--drop-reach"), 2)],
)
def test_a_wrong_word_is_refused_with_its_status(
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
    words: tuple[str, ...],
    status: int,
) -> None:
    assert run_verb("restore", [generation.key, "--to", "beta", *words]) == status
    assert not Job.objects.exists()
