"""A page that looks again (static/js/live.js) asks for its own address with this header.

Such a look is answered by the page, never by a page that it would be led to: LEAD tells the script
where to go instead.
"""

from collections.abc import Mapping

HEADER = "X-Labpanel-Look"
LEAD = "X-Labpanel-Lead"


def is_look(headers: Mapping[str, str]) -> bool:
    return headers.get(HEADER) == "1"
