"""What of a host's answers made no sense and was put aside, as a trouble of that host."""

from collections.abc import Sequence
from datetime import datetime

from hosts.models import Host
from hosts.services.checks import recorder
from labpanel.symptoms.facts.hosts import OddAnswers
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Symptom, SymptomSubject


def note(host: Host, source: str, sentences: Sequence[str], now: datetime) -> None:
    """Open or resolve the finding of one `source` ("facts", "libvirt", …) of answers."""
    if not sentences:
        recorder.resolve(host, Kind.ANSWER, [source], now)
        return
    symptom = Symptom(
        SymptomSubject(SubjectKind.HOST, source),
        Level.WATCH,
        OddAnswers(host.name, sentences[0], len(sentences) - 1),
        tuple(Evidence("answer put aside", sentence, source) for sentence in sentences),
    )
    recorder.record(host, symptom, now)
