"""Many changes, few messages: each topic is told at most once in a second. Pure: time comes in."""


class Coalescer:
    """Topics wait here until they are due. Times are in seconds of any one clock."""

    def __init__(self, every: float = 1.0) -> None:
        self.every = every
        self._waiting: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def add(self, topic: str, now: float) -> None:
        """The first change goes out at once, those within the next second together after it."""
        if topic not in self._waiting:
            self._waiting[topic] = max(now, self._told.get(topic, -self.every) + self.every)

    def due(self, now: float) -> list[str]:
        """Topics to tell now, in the order in which they came."""
        ready = [topic for topic, at in self._waiting.items() if at <= now]
        for topic in ready:
            del self._waiting[topic]
        # Only what may still hold something back is remembered: job topics are without end.
        self._told = {t: at for t, at in self._told.items() if at + self.every > now}
        self._told.update(dict.fromkeys(ready, now))
        return ready

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; None while nothing waits."""
        return max(0.0, min(self._waiting.values()) - now) if self._waiting else None
