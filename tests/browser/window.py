"""A browser window: a phone's or a desk's, light or dark, signed in."""

from typing import Any

from playwright.sync_api import Browser, BrowserContext

from tests.browser.serve import Panel

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES: dict[str, dict[str, Any]] = {
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
    "desk": {"viewport": {"width": 1440, "height": 900}},
}


def context(
    browser: Browser, there: Panel, size: str, scheme: str = "light", **more: Any
) -> BrowserContext:
    """A new window with its own cookies; `size` is a key of SIZES."""
    options: dict[str, Any] = {**SIZES[size], "color_scheme": scheme, "locale": "en-GB", **more}
    window = browser.new_context(**options)
    name, _, value = there.cookie.partition("=")
    window.add_cookies([{"name": name, "value": value, "url": there.address}])
    window.set_default_timeout(15_000)
    return window
