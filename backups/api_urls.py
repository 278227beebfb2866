"""API addresses of the app backups."""

from django.urls import URLPattern, path

from backups import (
    api,
    api_policies,
    api_proofs,
    api_rehearsals,
    api_restores,
    api_retention,
    api_safety,
)
from labpanel.api import by_method

urlpatterns: list[URLPattern] = [
    path("coverage", api.read_coverage),
    path("exposure", api_safety.read_exposure),
    path("stores", by_method(GET=api.read_stores, POST=api.create_store)),
    path("stores/<str:name>", api_safety.read_store),
    path("generations", api.read_generations),
    path("generations/<str:key>", api.read_generation),
    path(
        "generations/<str:key>/protection",
        by_method(POST=api_retention.create_protection, DELETE=api_retention.remove_protection),
    ),
    path("generations/<str:key>/verify", api.create_verification),
    path("generations/<str:key>/mend", api_proofs.create_mending),
    path("verifications", api_proofs.create_verifications),
    path("generations/<str:key>/restore", api_restores.create_restore),
    path("instants", api_restores.read_instants),
    path(
        "generations/<str:key>/rehearsals",
        by_method(GET=api_rehearsals.read_rehearsals, POST=api_rehearsals.create_rehearsal),
    ),
    path("backups", api.create_backup),
    path("retention", api_retention.read_retention),
    path("prunes", api_retention.create_prune),
    path(
        "holds",
        by_method(
            GET=api_retention.read_holds,
            POST=api_retention.create_hold,
            DELETE=api_retention.remove_hold,
        ),
    ),
    path(
        "policies",
        by_method(GET=api_policies.read_policies, POST=api_policies.create_policy),
    ),
    path("policies/story", api_policies.create_story),
    path("policies/assign", api_policies.assign_vm),
    path(
        "policies/<str:name>",
        by_method(
            GET=api_policies.read_policy,
            PATCH=api_policies.change_policy,
            DELETE=api_policies.remove_policy,
        ),
    ),
    path(
        "exclusions",
        by_method(
            GET=api_policies.read_exclusions,
            POST=api_policies.create_exclusion,
            DELETE=api_policies.remove_exclusion,
        ),
    ),
]
