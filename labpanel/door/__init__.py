"""The web process's outermost part: what a stranger may cost before Django hears of it.

`python -m labpanel.door` is the web process, on a bare machine and in a container alike.
"""
