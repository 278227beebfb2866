"""The base of every exception that carries a sentence for the user."""

from labpanel.lib.printable import printable, printable_lines


class Said(Exception):
    """`sentence`: what happened to which thing, what to do; for the user. `detail`: for the log.

    Both may quote a host or what was asked for, so both are made printable here. `http_status` is
    what the API and the pages answer with.
    """

    http_status = 409

    def __init__(self, sentence: str, detail: str = "") -> None:
        self.sentence = printable(sentence)
        self.detail = printable_lines(detail)
        super().__init__(self.sentence)
