"""XML of strangers: what is refused, in one sentence, and what it may cost."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labpanel.adapters.answers.safe_xml import MOST_BYTES, MOST_LEVELS, MOST_NODES, UnsafeXml, parse

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
MANY = " ".join(f"b{n}=''" for n in range(60_000))
UNSAFE = {
    "it declares a document type": f'<!DOCTYPE d [<!ENTITY l0 "ha">{LAUGHS}]><d>&l9;</d>',
    "which libvirt never does": '<!DOCTYPE d SYSTEM "file:///etc/passwd"><d/>',
    "undefined entity": "<d>&own;</d>",
    f"deeper than {MOST_LEVELS} levels": "<a>" * 100_000,
    f"more than {MOST_NODES} elements": "<a>" + "<b/>" * MOST_NODES + "</a>",
    f"{MOST_NODES} elements and attributes": f"<a {MANY}/>",
    "larger than 1 MiB": f"<a>{'é' * (MOST_BYTES // 2)}</a>",
    "not well-formed XML": "<a>\0</a>",
    "surrogates not allowed": "<a>\ud800</a>",
    "no element found": "",
}


@pytest.mark.parametrize(("words", "text"), UNSAFE.items(), ids=list(UNSAFE))
def test_what_no_libvirt_writes_is_refused_in_one_sentence(words: str, text: str) -> None:
    with pytest.raises(UnsafeXml) as refused:
        parse(text, "The XML of web")
    assert words in refused.value.sentence
    assert refused.value.sentence.startswith("The XML of web is not used: ")
    assert len(refused.value.sentence) < 200


def test_no_document_costs_more_than_a_few_times_its_size() -> None:
    tracemalloc.start()
    try:
        for text in UNSAFE.values():
            with pytest.raises(UnsafeXml):
                parse(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * MOST_BYTES


@given(st.text(max_size=200) | st.text("<>/!&;'\"[]?= a:\0", max_size=200))
def test_any_text_is_an_element_or_an_unsafe_xml(text: str) -> None:
    try:
        parse(text)
    except UnsafeXml:
        pass


def test_the_longest_backing_chain_of_libvirt_is_read() -> None:
    layers = 200
    chain = "<backingStore>" * layers + "</backingStore>" * layers
    root = parse(f"<domain><devices><disk>{chain}</disk></devices></domain>")
    assert len(list(root.iter("backingStore"))) == layers
