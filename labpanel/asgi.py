"""The web process: Django over ASGI."""

import gc
import importlib
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labpanel.settings")

application = get_asgi_application()

# All that is loaded now stays for good. Looked through at every full collection it would cost
# 50 ms in the middle of a page, and pages make enough objects to set one off every few requests.
importlib.import_module("labpanel.urls")
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
