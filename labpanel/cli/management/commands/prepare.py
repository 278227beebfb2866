"""`manage.py prepare`: look at the panel's state, copy it, bring the tables up to date."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.utils import timezone

from labpanel import env
from labpanel.lib.said import Said
from labpanel.panel_copies.services.prepare_start import NotStarted, prepare_start
from labpanel.panel_copies.state import panel_state


class Command(BaseCommand):
    help = "What must be true before the panel's first process starts."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        start_empty = env.flag("LABPANEL_START_EMPTY", default=False)
        try:
            prepare_start(panel_state(), timezone.now(), start_empty=start_empty)
        except Said as refusal:
            self.stderr.write(refusal.sentence)
            for line in refusal.lines if isinstance(refusal, NotStarted) else ():
                self.stderr.write(line)
            sys.exit(1)
        except (DatabaseError, InconsistentMigrationHistory) as error:
            self.stderr.write(
                f"The database cannot be brought up to date: {str(error).rstrip('.')}."
            )
            sys.exit(1)
