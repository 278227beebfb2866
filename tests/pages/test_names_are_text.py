"""A name is never markup, however it looks: back-ticks, tags, and one name inside another."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import VM, Finding
from labpanel.home.templatetags.panel import coded
from tests.pages import factory
from tests.pages.lab import Lab


@pytest.mark.parametrize(
    ("text", "names", "shown"),
    [
        ("Run `fsck /dev/sda`.", [], "Run <code>fsck /dev/sda</code>."),
        ("What `rm` does is unknown.", ["`rm`"], "What `rm` does is unknown."),
        ("`a` and ``b``", ["`a`", "``b``"], "`a` and ``b``"),
        ("x`y runs; see `ps`.", ["x`y"], "x`y runs; see <code>ps</code>."),
        ("`./panel vm resume `x``", ["`x`"], "<code>./panel vm resume `x`</code>"),
        ("<b> `<i>`", ["`<i>`"], "&lt;b&gt; `&lt;i&gt;`"),
        ("`a` is part of `a`b", ["`a`", "`a`b"], "`a` is part of `a`b"),
        ("one ` alone", [], "one ` alone"),
    ],
)
def test_only_our_own_marks_are_marks(text: str, names: list[str], shown: str) -> None:
    assert coded(text, names) == shown


@pytest.mark.parametrize("name", ["`home`", "a`b", "<i>`x`</i>"])
def test_on_the_overview_of_a_silent_host(signed_in: Client, lab: Lab, name: str) -> None:
    Finding.objects.update(resolved_at=timezone.now())
    VM.objects.filter(pk=lab.home.pk).update(name=name)
    lab.odd.delete()
    since = timezone.now() - timedelta(minutes=4)
    lab.alpha.seen_at = lab.alpha.failing_since = since
    lab.alpha.save()
    page = signed_in.get("/").content.decode()
    escaped = name.replace("<", "&lt;").replace(">", "&gt;")
    assert f"What {escaped} does is unknown." in page


def test_in_the_advice_of_a_finding(signed_in: Client, lab: Lab) -> None:
    VM.objects.filter(pk=lab.web.pk).update(name="`web`")
    factory.make_finding(
        lab.beta,
        VM.objects.get(pk=lab.web.pk),
        kind="vm-paused",
        about="vm",
        old_sentence="`web` is paused",
        old_advice="Resume `web` with `./panel vm resume`.",
    )
    page = signed_in.get(lab.web.get_absolute_url()).content.decode()
    assert "Resume `web` with <code>./panel vm resume</code>." in page
