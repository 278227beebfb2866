"""Measurements against the bars that the panel sets itself. Each module has `run(options) -> int`:
0 when every bar is reached, 1 when one is missed. Each gets a panel's home of its own, which is
removed afterwards; the owner's data is neither read nor written. Not in the image."""
