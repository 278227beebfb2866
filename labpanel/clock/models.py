"""What the looks at the clock add up to: one row, kept over restarts and reboots."""

from django.db import models

from labpanel.lib.clock import ClockState


class ClockWatch(models.Model):
    """labpanel.lib.clock.ClockState, field by field. Seconds, as there."""

    boot = models.CharField(max_length=64, blank=True)
    uptime = models.FloatField()
    wall = models.FloatField()
    believed = models.FloatField()
    newest = models.FloatField()
    stepped_at = models.FloatField(null=True)
    doubt = models.CharField(max_length=8, blank=True)
    since = models.FloatField(null=True)
    held_since = models.FloatField(null=True)
    loose = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"the clock, {self.doubt or 'believed'}"

    def value(self) -> ClockState:
        return ClockState(
            boot=self.boot,
            uptime=self.uptime,
            wall=self.wall,
            believed=self.believed,
            newest=self.newest,
            stepped_at=self.stepped_at,
            doubt=self.doubt,
            since=self.since,
            held_since=self.held_since,
            loose=self.loose,
        )
