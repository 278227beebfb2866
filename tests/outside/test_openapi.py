"""The OpenAPI document is valid, and what the API answers is what the document says."""

from collections import Counter
from typing import Any

import schemathesis
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounded
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backups.models import Policy
from labpanel.verbs import catalog
from labpanel.verbs.openapi import document
from tests.outside.methods import undone
from tests.pages.lab import Lab, add_history

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
# A host that does not answer is no fault of the panel's.
SILENT = {502, 504}
EXAMPLES = 4  # for each verb, once with what there is and once with anything


def test_the_document_is_served_and_valid(signed_in: Client) -> None:
    served = signed_in.get("/api/v1/openapi.json").json()
    assert list(OpenAPIV31SpecValidator(served).iter_errors()) == []
    assert Client().get("/api/v1/openapi.json").status_code == 401
    assert signed_in.post("/api/v1/openapi.json").status_code == 405


def places(lab: Lab) -> dict[str, object]:
    """What stands in paths, as it is in the lab."""
    return {
        "vm": str(lab.home.uuid),
        "generation": lab.generation.key,
        "job": lab.job.pk,
        "number": lab.finding.pk,
        "policy": Policy.objects.get().name,
    }


def place(path: str, lab: Lab) -> dict[str, object]:
    known = {**places(lab), "name": lab.alpha.name if "hosts" in path else lab.store.name}
    return {name: value for name, value in known.items() if f"{{{name}}}" in path}


def signed(owner: User) -> dict[str, Any]:
    """The cookies and headers of a browser that is signed in."""
    browser = Client()
    browser.force_login(owner)
    token = _get_new_csrf_string()
    cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
    return {
        "cookies": {**cookies, settings.CSRF_COOKIE_NAME: token},
        "headers": {"X-CSRFToken": token},
    }


def faults_of(
    operation: Any, who: dict[str, Any], statuses: Counter[int], **fixed: Any
) -> list[str]:
    """What is wrong with an operation's answers to bounded, always the same examples."""
    wrong: list[str] = []

    @bounded(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(**fixed))
    def ask(case: Any) -> None:
        with undone():
            response = case.call(**who)
        statuses[response.status_code] += 1
        if response.status_code >= 500 and response.status_code not in SILENT:
            wrong.append(f"{operation.label}: {response.status_code} for {case!r}")
            return
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as faults:
            wrong.extend(f"{operation.label}: {fault}" for fault in faults.exceptions)

    ask()
    return wrong


def test_what_is_answered_is_what_the_document_says(lab: Lab, owner: User) -> None:
    add_history(lab)
    loaded = schemathesis.openapi.from_dict(document(catalog.verbs()))
    loaded.app = WSGIHandler()
    who, faults, statuses = signed(owner), list[str](), Counter[int]()
    for found in loaded.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        here = place(operation.path, lab)
        for fixed in [{"path_parameters": here}, {}] if here else [{}]:
            faults += faults_of(operation, who, statuses, **fixed)
    assert faults == []
    assert not statuses.keys() & {401, 403}
    assert sum(count for status, count in statuses.items() if status < 300) > 50, statuses
