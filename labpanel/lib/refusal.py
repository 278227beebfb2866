"""A clear no to a user's request, before anything was changed."""


class Refusal(Exception):
    """`sentence`: what is wrong with which thing, what to do. `status` is HTTP's."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
