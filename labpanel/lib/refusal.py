"""A clear no to a user's request, before anything was changed."""

from labpanel.lib.said import Said


class Refusal(Said):
    """`sentence`: what is wrong with which thing, what to do. `http_status`: 400 unless given."""

    def __init__(self, sentence: str, http_status: int = 400) -> None:
        super().__init__(sentence)
        self.http_status = http_status
