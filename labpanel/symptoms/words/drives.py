"""Words for drives: what speaks against one, and why one cannot be asked."""

from collections.abc import Iterable

from labpanel.lib.units import listed
from labpanel.symptoms.facts.drives import (
    DriveSign,
    DriveTrouble,
    Remedy,
    Sign,
    Unread,
    UnreadDrives,
)
from labpanel.symptoms.words.wording import Wording

_SHOWN = 8
_SIGNS = {
    Sign.SELF_FAILING: "it says of itself that it is failing",
    Sign.AT_THRESHOLD: "{name} is at the maker's threshold",
    Sign.WAS_AT_THRESHOLD: "{name} was at the maker's threshold before",
    Sign.WAS_HOT: "it has been too hot once",
    Sign.OLD_TEST_FAILED: "an old self-test failed, a newer long one passed",
    Sign.TEST_FATAL: "its self-test ended without a result",
    Sign.TEST_FAILS: "its own self-test fails",
    Sign.PENDING: "{sectors} cannot be read (pending)",
    Sign.OFFLINE: "{sectors} could not be read in its own scan",
    Sign.REALLOCATED: "{sectors} had to be replaced by spares",
    Sign.REPORTED: "it reported {errors}",
    Sign.END_TO_END: "data was damaged inside the drive (end-to-end errors)",
    Sign.SPIN_RETRY: "it needs several tries to spin up",
    Sign.NO_PENDING_COUNT: "it gives no count of sectors that cannot be read",
    Sign.LOGGED_UNREADABLE: "its error log holds unreadable sectors (UNC)",
    Sign.NO_ERROR_COUNTS: "it gives no counts of errors",
    Sign.HARMLESS_PENDING: "1 pending sector, as this model shows in good health",
    Sign.BLOCKS_REPLACED: "{count} blocks had to be replaced by spares",
    Sign.MET_ERRORS: "it met {errors}",
    Sign.MANY_CRC: "{count} transfers were damaged on the cable (CRC), over its life",
    Sign.SOME_CRC: "{count} transfers were damaged on the cable, over its life",
    Sign.NO_SPARES: "its spare blocks are used up",
    Sign.UNRELIABLE: "it calls its own reliability degraded",
    Sign.NO_WRITES: "it takes no more writes",
    Sign.BAD_TEMPERATURE: "it is too hot or too cold",
    Sign.NO_POWER_LOSS_PROTECTION: "its power-loss protection failed",
    Sign.CRITICALLY_HOT: "it was critically hot for {count} min of its life",
    Sign.GROWN_DEFECTS: "it has {count} defects that grew in use",
    Sign.WORN: "{count} % of its rated endurance is used",
    Sign.HOT: "it is hot: {count} °C",
    Sign.DISGUISED: "the controller answers in its place as SCSI and leaves out its SMART data",
    Sign.NO_SMART_DATA: "it gives no SMART data",
    Sign.NOTHING_BUT_VERDICT: (
        "nothing is known beyond its own verdict: it gives no counts of errors or wear"
    ),
    Sign.NO_DATA: "it gives no data",
    Sign.SAID: "{name}",
    Sign.NOTHING_AGAINST: "nothing speaks against it",
}


def reason(signs: Iterable[DriveSign]) -> str:
    """All signs in one line, in their order."""
    return "; ".join(map(_sign, signs))


def _sign(sign: DriveSign) -> str:
    many = sign.count != 1
    return _SIGNS[sign.sign].format(
        name=sign.name,
        count=sign.count,
        sectors=f"{sign.count} sectors" if many else "1 sector",
        errors=(
            f"{sign.count} uncorrectable errors" if many else "1 error that it could not correct"
        ),
    )


_ADVICE = {
    Remedy.REPLACE: (
        "Take the VMs off this drive now, the most valuable first, and have a good backup "
        "elsewhere; then replace it. Don't run checks or long tests before that: they add load."
    ),
    Remedy.PENDING: (
        "Pending sectors are places that the drive could not read; what lay there is lost "
        "unless a copy exists. See that the VMs on it are backed up and verified, run a long "
        "self-test (`smartctl -t long {device}`), and have a replacement ready."
    ),
    Remedy.CABLE: "Reseat or replace the cable, and see whether the count still grows.",
    Remedy.COOL: (
        "Give it air: heat shortens its life, and the readings are worth another look cool."
    ),
    Remedy.WATCH: (
        "Keep its backups current and look at it again; it need not be replaced at once."
    ),
}


def drive(facts: DriveTrouble) -> Wording:
    word = "is failing" if facts.failing else "needs watching"
    name = f"{facts.device} ({facts.model})" if facts.model else facts.device
    return Wording(
        f"The drive {name} of {facts.host} {word}: {reason(facts.signs)}",
        _ADVICE[facts.remedy].format(device=facts.asked_at),
    )


def unread_drives(facts: UnreadDrives) -> Wording:
    which, why = _unread(facts)
    return Wording(
        f"The health of {which} cannot be read: {why}",
        "Until it can be read, a failing drive is noticed only when reads or writes on it fail.",
    )


def _unread(facts: UnreadDrives) -> tuple[str, str]:
    if facts.error:
        return f"the drives of {facts.host}", facts.error
    devices = [each.device for each in facts.drives]
    many = len(devices) > 1
    which = f"{len(devices)} drives" if many else f"the drive {devices[0]}"
    whys = {why_unread(each) for each in facts.drives}
    if len(whys) > 1:
        told = (f"{each.device}: {why_unread(each)}" for each in facts.drives[:_SHOWN])
        return f"{which} of {facts.host}", "; ".join(told)
    names = f" ({listed(devices[:_SHOWN])})" if many else ""
    return f"{which} of {facts.host}{names}", whys.pop()


def why_unread(drive: Unread) -> str:
    return reason(drive.signs) if drive.signs else "smartctl does not list it"
