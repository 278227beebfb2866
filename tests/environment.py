"""Loaded by pytest before Django's settings: a throw-away home for every run.

Two runs side by side never meet, and nothing is left behind.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="labpanel-test-"))
os.environ["LABPANEL_HOME"] = str(HOME)
os.environ["LABPANEL_LOG_LEVEL"] = "WARNING"
os.environ.pop("LABPANEL_URL", None)


@atexit.register
def _remove() -> None:
    from labpanel.env import runtime

    shutil.rmtree(runtime(), ignore_errors=True)
    shutil.rmtree(HOME, ignore_errors=True)
