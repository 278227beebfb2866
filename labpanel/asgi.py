"""Django over ASGI, behind the door's guard. labpanel.door serves it."""

import gc
import importlib
import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from labpanel.door.guard import Guard

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labpanel.settings")

application = Guard(
    get_asgi_application(), proxies=settings.TRUSTED_PROXIES, names=settings.SERVED_NAMES
)

# All that is loaded now stays loaded. Looked through at every full collection it would cost
# 50 ms in the middle of a page, and pages make enough objects to set one off every few requests.
importlib.import_module("labpanel.urls")
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
