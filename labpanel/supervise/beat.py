"""`python -m labpanel.supervise.beat`: Celery's beat, without loading the applications.

It sends names at their times and needs no model; as `celery beat` it would hold all of Django and
every task's imports, about 30 MB more than it needs. The schedule file is the settings' own.
"""

from celery.apps.beat import Beat

from labpanel.celery import app


class Clock(Beat):
    def init_loader(self) -> None:
        """Celery's own imports every task module here, and with them the applications."""
        app.finalize()


if __name__ == "__main__":
    Clock(app=app, loglevel="WARNING", quiet=True).run()
