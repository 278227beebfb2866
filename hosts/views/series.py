"""Values for graphs, as JSON: `?range=1h|6h|1d|1w|1m|1y`, or `?start=&end=` for a closer look.

Numbers are written column by column: a week of a VM with four disks is some 15 000 of them.
"""

import json
import time
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET

from hosts.models import VM, Host
from hosts.selectors.series import Chart, SeriesLine, host_charts, look, vm_charts
from labpanel.lib.refusal import Refusal
from labpanel.lib.series import RANGES, Window, as_json
from labpanel.verbs.http import error

LONGEST = 10 * 365 * 86_400


@require_GET
@gzip_page
def vm_series(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = VM.objects.filter(uuid=uuid).only("pk").first()
    if vm is None:
        return error(f"There is no VM {uuid}.", 404)
    try:
        view = asked_window(request, int(time.time()))
    except Refusal as refusal:
        return error(refusal.sentence, refusal.http_status)
    return _sent(view, vm_charts(vm, view))


@require_GET
@gzip_page
def host_series(request: HttpRequest, name: str) -> HttpResponse:
    host = Host.objects.filter(name=name).only("pk").first()
    if host is None:
        return error(f"There is no host {name!r}.", 404)
    try:
        view = asked_window(request, int(time.time()))
    except Refusal as refusal:
        return error(refusal.sentence, refusal.http_status)
    return _sent(view, host_charts(host, view))


def asked_window(request: HttpRequest, now: int) -> Window:
    """The window that the address asks for; one hour up to now by default."""
    asked = request.GET
    if "start" in asked or "end" in asked:
        start, end = _second(asked.get("start", "")), _second(asked.get("end", str(now)))
        if not start < end <= now + 86_400 or end - start > LONGEST:
            raise Refusal("The start must be before the end, and the end not in the future.")
        return look(start, end)
    name = asked.get("range", "1h")
    if name not in RANGES:
        raise Refusal(f"There is no range {name!r}; there are {', '.join(RANGES)}.")
    return look(now - RANGES[name], now)


def _second(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise Refusal(f"{text!r} is not a time; give whole seconds since 1970.")
    return int(text)


def _sent(view: Window, charts: list[Chart]) -> HttpResponse:
    times = json.dumps(list(view.times), separators=(",", ":"))
    body = ",".join(_chart(chart, times) for chart in charts)
    head = f'"start":{view.start},"end":{view.end},"step":{view.step}'
    response = HttpResponse(f'{{{head},"charts":[{body}]}}', content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def _chart(chart: Chart, times: str) -> str:
    words = json.dumps({"id": chart.id, "title": chart.title, "unit": chart.unit})
    lines = ",".join(_line(line) for line in chart.lines)
    return f'{words[:-1]},"series":[{lines}],"times":{times}}}'


def _line(line: SeriesLine) -> str:
    parts = [f'"label":{json.dumps(line.label)}', f'"values":{as_json(line.values)}']
    if line.low:
        parts += [f'"low":{as_json(line.low)}', f'"high":{as_json(line.high)}']
    return f"{{{','.join(parts)}}}"
