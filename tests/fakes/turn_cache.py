"""A shelf in memory, which can be told to lose what is on it."""


class FakeTurnCache:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.loses = False

    def take(self, key: str) -> bytes | None:
        return None if self.loses else self.kept.get(key)

    def put(self, key: str, value: bytes, seconds: int) -> None:
        self.kept[key] = value
