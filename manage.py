#!/usr/bin/env python3
"""Django's command line for labpanel; operators use ./panel instead."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.umask(0o077)  # whatever a verb writes is its owner's
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labpanel.settings")
    execute_from_command_line(sys.argv)
