"""A rehearsed definition that reaches into its host: nothing of that is in the domain."""

import hashlib

import pytest

from backups.models import Generation
from labpanel.jobs.states import State
from tests.fakes.rehearsing import Ground
from tests.made_manifests import with_files
from tests.services.test_rehearse import XML, done, generation, ground  # noqa: F401 - fixtures

EVIL = {
    "a file as firmware": ("<os>", "<os><loader type='rom'>/etc/shadow</loader>"),
    "a second system": (
        "<devices>",
        "<os><type>hvm</type><initrd>/etc/shadow</initrd></os><devices>",
    ),
    "a path in a controller": ("</devices>", "<controller type='usb' x='/etc/shadow'/></devices>"),
    "a path in a feature": ("<devices>", "<features><x y='/etc/shadow'/></features><devices>"),
    "an odd disk": (
        "<target dev='vda' bus='virtio'/>",
        "<target dev='vda' bus='/etc/shadow'/>",
    ),
    "a folder and a port": (
        "</devices>",
        "<filesystem type='mount'><source dir='/etc/shadow'/><target dir='r'/></filesystem>"
        "<serial type='file'><source path='/etc/shadow'/></serial></devices>",
    ),
}


@pytest.mark.parametrize("name", EVIL)
def test_nothing_that_a_store_wrote_reaches_the_host(
    ground: Ground,  # noqa: F811
    generation: Generation,  # noqa: F811
    name: str,
) -> None:
    before, after = EVIL[name]
    ground.xml = XML.replace(before, after, 1)
    digest = hashlib.sha256(ground.xml.encode()).hexdigest()
    generation.manifest = with_files(generation.manifest, {"domain.xml": digest})
    generation.save()
    seen: list[str] = []
    ground.during_boot = lambda: seen.extend(ground.domains.values())
    job = done(generation)
    assert all("/etc/shadow" not in xml for xml in seen), seen
    assert seen or job.state == State.FAILED
