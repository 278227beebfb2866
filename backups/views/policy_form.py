"""What a person types about a policy."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from backups.models import Policy, Store
from backups.rules.policies.calendar_words import WEEKDAYS
from backups.rules.policies.places import FAR, NEAR
from backups.rules.policies.presets import DAILY, MONTHLY, OTHER, WEEKLY, Preset, read
from backups.services.policies.save_policy import Changes
from hosts.models import VM

MIB = 2**20
_OFTEN = (
    (DAILY, "every day"),
    (WEEKLY, "every week"),
    (MONTHLY, "every month"),
    (OTHER, "as the cron line below says"),
)
_ORDER = (*range(1, 7), 0)  # the week begins on Monday
_KEEP = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly")
_DAYS = ("verify_days", "rehearse_days", "deep_days")
_SAME = ("name", "timezone", "freeze", "enabled", *_KEEP, *_DAYS, "window_start", "window_end")


def _number(label: str, least: int = 0, most: int = 1000) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=least, max_value=most)


def _clock(label: str, *, required: bool) -> forms.TimeField:
    shown = forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    return forms.TimeField(label=label, widget=shown, required=required)


if TYPE_CHECKING:  # generic in the stubs only
    ChoiceOfVMs = forms.ModelMultipleChoiceField[VM]
else:
    ChoiceOfVMs = forms.ModelMultipleChoiceField


class _VMsField(ChoiceOfVMs):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} on {obj.host.name}"


class PolicyForm(forms.Form):
    """One policy. The stores and VMs to choose from are those that are known now."""

    name = forms.CharField(label="Name", max_length=63)
    is_default = forms.TypedChoiceField(
        label="Which VMs",
        choices=(("1", "every VM that no other policy names, new ones too"), ("", "only these:")),
        coerce=bool,
        empty_value="",
        required=False,
        widget=forms.RadioSelect,
    )
    vms = _VMsField(queryset=VM.objects.none(), required=False, widget=forms.CheckboxSelectMultiple)
    often = forms.ChoiceField(label="How often", choices=_OFTEN)
    at = _clock("At", required=True)
    weekday = forms.TypedChoiceField(
        label="If every week, on", choices=[(day, WEEKDAYS[day]) for day in _ORDER], coerce=int
    )
    day = _number("If every month, on the day", 1, 28)
    cron = forms.CharField(label="Cron line", max_length=100, required=False)
    timezone = forms.CharField(label="Time zone", max_length=63)
    places = forms.MultipleChoiceField(
        label="Where to", required=False, widget=forms.CheckboxSelectMultiple
    )
    keep_last = _number("How many of the newest", 1)
    keep_daily = _number("One a day, for how many days")
    keep_weekly = _number("One a week, for how many weeks")
    keep_monthly = _number("One a month, for how many months")
    cap = forms.FloatField(label="At most MiB per second", min_value=0, required=False)
    freeze = forms.BooleanField(label="freeze the guest’s file systems for it", required=False)
    verify_days = _number("Read back every so many days", 1, 3650)
    rehearse_days = _number("Boot every so many days", 0, 3650)
    deep_days = _number("Read everything every so many days", 1, 3650)
    window_start = _clock("Read back and boot from", required=False)
    window_end = _clock("until", required=False)
    enabled = forms.BooleanField(label="switched on", required=False)

    def __init__(self, data: QueryDict | None, policy: Policy | None) -> None:
        super().__init__(data, initial=_initial(policy))
        present = VM.objects.filter(missing_since=None).select_related("host")
        vms, places = self.fields["vms"], self.fields["places"]
        assert isinstance(vms, forms.ModelMultipleChoiceField)
        assert isinstance(places, forms.MultipleChoiceField)
        vms.queryset = present.defer("xml", "inactive_xml")
        places.choices = _places()

    def changes(self) -> Changes:
        """What a valid form asks for."""
        given = self.cleaned_data
        preset = Preset(
            given["often"], given["at"], given["weekday"], given["day"], given["cron"].strip()
        )
        changes: Changes = {
            "cron": preset.written(),
            "is_default": bool(given["is_default"]),
            "places": given["places"],
            "bytes_per_second": round(given["cap"] * MIB) if given["cap"] else None,
        }
        for name in _SAME:
            changes[name] = given[name]  # type: ignore[literal-required]
        return changes

    def named(self) -> list[VM]:
        """The VMs that it names from now on; a default policy takes all others."""
        return list(self.cleaned_data["vms"])


def _places() -> list[tuple[str, str]]:
    """Far and near, then every store by its name (one that is called far or near is meant by
    these)."""
    stores = Store.objects.select_related("host").exclude(name__in=(FAR, NEAR))
    return [
        (FAR, "to another machine: the store there that fits best"),
        (NEAR, "to the VM’s own host, for getting back fast"),
        *((store.name, f"to {store.name}: {store.where}") for store in stores),
    ]


def _initial(policy: Policy | None) -> dict[str, Any]:
    zone = timezone.get_default_timezone_name()
    shown = policy or Policy(cron=Preset().written(), timezone=zone, places=[FAR, NEAR])
    preset = read(shown.cron)
    return {
        **{name: getattr(shown, name) for name in _SAME},
        "is_default": "1" if shown.is_default else "",
        "vms": [member.vm_id for member in shown.members.all()] if policy else [],
        "often": preset.often,
        "at": preset.at,
        "weekday": preset.weekday,
        "day": preset.day,
        "cron": shown.cron,
        "places": shown.places,
        "cap": shown.bytes_per_second / MIB if shown.bytes_per_second else None,
    }
