"""Log records without what opens something: links' tokens, cookies, form tokens."""

import logging
import re

from labpanel.lib.printable import printable

_SECRETS = (
    (re.compile(r"(/first/)[^/\s?#\"']+"), r"\1***"),
    (re.compile(r"((?:labpanel_session|csrftoken|csrfmiddlewaretoken)=)[^\s;&\"']+"), r"\1***"),
)
_LONGEST_WORD = 200  # characters of an address in a record about a request
_WORD = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")
_OF_REQUESTS = ("django.", "uvicorn", "labpanel.door")


class Masked(logging.Filter):
    """Of a handler. Every record passes, some of them changed."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        hidden = masked(text)
        if record.name.startswith(_OF_REQUESTS):
            hidden = _WORD.sub(lambda word: printable(word[0], _LONGEST_WORD), hidden)
        if hidden != text:
            record.msg, record.args = hidden, ()
        return True


def masked(text: str) -> str:
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
