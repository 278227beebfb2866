"""What a read or a write that failed during work means for the copies of its VMs. Pure."""

import os

from labpanel.symptoms.facts.copies import ImageFault, StoreFault
from labpanel.symptoms.words import copies as words


def hold_reason(facts: ImageFault | StoreFault) -> str:
    """Why nothing of these VMs is pruned: the fault, as the finding says it, without its time."""
    return words.fault(facts)


def errno_words(number: int) -> str:
    """As the system says it, with its number."""
    return f"{os.strerror(number)} (errno {number})" if number else "error"
