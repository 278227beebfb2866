"""What a User-Agent header calls a browser, in words. Pure; the header is a stranger's."""

from labpanel.lib.printable import printable

# The first that fits: most browsers also call themselves by the names of those before them.
_PROGRAMS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"), ("Firefox/", "Firefox"), ("CriOS/", "Chrome"), ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)  # fmt: skip
_MACHINES = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Macintosh", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
_MOST = 60


def browser(user_agent: str) -> str:
    """ "Firefox on Linux"; another program's own words, cut at 60 characters."""
    program = next((word for sign, word in _PROGRAMS if sign in user_agent), None)
    machine = next((word for sign, word in _MACHINES if sign in user_agent), None)
    if program and machine:
        return f"{program} on {machine}"
    return program or printable(user_agent.strip(), _MOST) or "a program without a name"
