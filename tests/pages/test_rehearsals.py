"""A generation's rehearsal on its page, its picture, its button, and the same in the API."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from backups.models import Rehearsal
from labpanel.jobs.models import Job
from tests.pages.lab import HOSTILE, Lab


def png(width: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, 4)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def failed(lab: Lab) -> Rehearsal:
    now = timezone.now()
    made: Rehearsal = Rehearsal.objects.create(
        generation=lab.generation,
        host=lab.beta,
        began_at=now - timedelta(seconds=20),
        ended_at=now,
        passed=False,
        sentence="The copy of home failed its rehearsal on beta. Files in /home: empty.",
        checks=[
            {"what": "The guest comes up", "passed": True, "seen": HOSTILE},
            {"what": "Files in /home", "passed": False, "seen": "/home is empty."},
            {"what": "What a rehearsal leaves out", "passed": None, "seen": "1 TPM."},
        ],
        screenshot=png(720),
        thumbnail=png(192),
    )
    return made


def page(client: Client, lab: Lab) -> str:
    text: str = client.get(lab.generation.get_absolute_url()).content.decode()
    return text


def test_a_copy_that_was_never_booted_says_so(signed_in: Client, lab: Lab) -> None:
    text = page(signed_in, lab)
    assert "It was never booted. A rehearsal starts this copy" in text
    assert "<img" not in text.split('id="rehearsal"')[1].split("</section>")[0]
    assert ">the panel chooses</option>" in text


def test_what_a_copy_still_lacks_is_the_first_thing_offered(signed_in: Client, lab: Lab) -> None:
    proof = page(signed_in, lab).split('class="say')[1].split("</section>")[0]
    assert '<button class="primary" type="submit">Boot this copy</button>' in proof
    lab.generation.verified_at = None
    lab.generation.save()
    proof = page(signed_in, lab).split('class="say')[1].split("</section>")[0]
    assert "Boot this copy" not in proof
    assert '<button class="primary" type="submit">Read this copy back' in proof


def test_the_page_shows_what_was_seen(signed_in: Client, lab: Lab, failed: Rehearsal) -> None:
    part = page(signed_in, lab).split('id="rehearsal"')[1].split("</section>")[0]
    assert 'class="mark bad">failed' in part
    assert failed.sentence in part
    for mark in ('mark good">good', 'mark bad">wrong', 'mark none">not proven'):
        assert mark in part
    assert "<script>" not in part
    assert f'src="/rehearsals/{failed.pk}/screen.png"' in part


def test_the_picture_is_served_to_who_is_signed_in(
    client: Client, signed_in: Client, failed: Rehearsal
) -> None:
    for name, width in (("screen", 720), ("small", 192)):
        answer = signed_in.get(f"/rehearsals/{failed.pk}/{name}.png")
        assert answer["Content-Type"] == "image/png"
        assert "no-store" in answer["Cache-Control"]
        assert Image.open(io.BytesIO(answer.content)).size == (width, 4)
        assert Client().get(f"/rehearsals/{failed.pk}/{name}.png").status_code == 302


def test_a_picture_that_was_dropped_is_gone(signed_in: Client, lab: Lab, failed: Rehearsal) -> None:
    Rehearsal.objects.update(screenshot=None, thumbnail=None)
    assert signed_in.get(f"/rehearsals/{failed.pk}/screen.png").status_code == 404
    assert signed_in.get("/rehearsals/4711/small.png").status_code == 404
    assert "screen.png" not in page(signed_in, lab)


@pytest.mark.parametrize(("on", "host"), [("", None), ("beta", "beta")])
def test_the_button(
    signed_in: Client,
    lab: Lab,
    broker: list[tuple[str, list[Any]]],
    on: str,
    host: str | None,
) -> None:
    answer = signed_in.post(f"/generations/{lab.generation.key}/rehearse/", {"on": on})
    job = Job.objects.order_by("-pk")[0]
    assert (answer.status_code, answer["Location"]) == (302, job.get_absolute_url())
    assert (job.kind, job.asked_by) == ("rehearse", "olga")
    assert job.parameters["host"] == (lab.beta.pk if host else None)


def test_a_host_that_is_not_there_is_refused(signed_in: Client, lab: Lab) -> None:
    answer = signed_in.post(f"/generations/{lab.generation.key}/rehearse/", {"on": "x<b>"})
    assert answer.status_code == 400
    assert "There is no host" in answer.content.decode()


def test_the_api_says_the_same(
    signed_in: Client, lab: Lab, failed: Rehearsal, broker: list[tuple[str, list[Any]]]
) -> None:
    address = f"/api/v1/generations/{lab.generation.key}/rehearsals"
    (one,) = signed_in.get(address).json()
    assert one == {
        "generation": lab.generation.key,
        "vm": "home",
        "host": "beta",
        "began_at": failed.began_at.isoformat(),
        "ended_at": failed.ended_at.isoformat(),
        "passed": False,
        "sentence": failed.sentence,
        "checks": [failed.checks[1], failed.checks[0], failed.checks[2]],
        "screen": f"/rehearsals/{failed.pk}/screen.png",
    }
    asked = signed_in.post(address, {"on": "alpha"}, content_type="application/json")
    assert asked.status_code == 202
    assert Job.objects.get(pk=asked.json()["job"]).title.endswith(" (far) on alpha")
    again = signed_in.post(address, {}, content_type="application/json")
    assert again.status_code == 409
