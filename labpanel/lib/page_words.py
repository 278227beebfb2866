"""Sentences that name an option of the command line, in the words of the pages. Pure.

Services are for both; an option is no help to who holds a phone.
"""

import re

_LEAVE_OUT = "“leave out what in its definition reaches into the host”"
_WORDS = [
    (r"choose another --path", "choose another folder for its images"),
    (r"(?:or )?choose another folder with --path", "or choose another folder for its images"),
    (r"Choose one with --path", "Name one as the folder for its images"),
    (r"--drop-reach leaves", "one button leaves"),
    (r"--accept-reach \w+ takes", "a button takes"),
    (r"leave it out with --drop-reach", f"tick {_LEAVE_OUT}"),
    (r" \(--drop-reach\)", f": tick {_LEAVE_OUT}"),
    (r": --only takes the disks named by --disk", ""),
    (r" \(--(?:definition|only)\)", ""),
    (r"have the folder made: --make-folder, or the tick in the form",
     "tick “make this folder if it is missing”"),
    (r"take it over with --take-over", "tick “take it over”"),
]  # fmt: skip
_RULES = [(re.compile(words), instead) for words, instead in _WORDS]


def page_words(sentence: str) -> str:
    """The same advice for the pages; what names no option is as it was."""
    if "--" not in sentence:
        return sentence
    for pattern, instead in _RULES:
        sentence = pattern.sub(instead, sentence)
    return sentence
