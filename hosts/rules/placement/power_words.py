"""What is asked once more before a VM's run is ended, and what that means. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    verb: str
    question: str
    consequence: str
    yes: str
    dangerous: bool = False


def question(verb: str, vm: str) -> Question | None:
    """None for what ends nothing, and for words that are no verb."""
    match verb:
        case "destroy":
            return Question(
                verb,
                f"Cut the power of {vm}?",
                "What it has not written yet is lost, and its file systems need a check at the "
                "next start. The guest is not asked.",
                f"Cut the power of {vm}",
                dangerous=True,
            )
        case "reset":
            return Question(
                verb,
                f"Reset {vm}?",
                "As with a machine's reset button: the guest is not asked, what it has not written "
                "yet is lost, and it starts again at once. Use it for a guest that does not "
                "answer any more.",
                f"Reset {vm}",
                dangerous=True,
            )
        case "shutdown":
            return Question(
                verb,
                f"Shut {vm} down?",
                "The guest is asked to end its programs and to switch itself off. What it serves "
                "is away until it is started again.",
                f"Shut {vm} down",
            )
        case "reboot":
            return Question(
                verb,
                f"Reboot {vm}?",
                "The guest is asked to end its programs and to start again. What it serves is "
                "away until then.",
                f"Reboot {vm}",
            )
    return None
