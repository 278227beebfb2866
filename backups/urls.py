"""Addresses of the app backups."""

from django.urls import path

from backups.views import (
    backing_up,
    bringing_back,
    coverage,
    exclusions,
    generations,
    mending,
    policies,
    rehearsals,
    removing,
    restoring,
    retaining,
    stores,
    time_line,
)

urlpatterns = [
    path("coverage/", coverage.coverage, name="coverage"),
    path("vms/<uuid:uuid>/copies/", time_line.generations, name="vm-generations"),
    path("vms/<uuid:uuid>/remove/", removing.vm, name="vm-remove"),
    path("vms/<uuid:uuid>/prune/", retaining.prune, name="vm-prune"),
    path("vms/<uuid:uuid>/hold/", retaining.hold, name="vm-hold"),
    path("vms/<uuid:uuid>/release/", retaining.release, name="vm-release"),
    path("vms/<uuid:uuid>/back-up/", backing_up.back_up, name="vm-back-up"),
    path("vms/<uuid:uuid>/bring-back/", bringing_back.one, name="vm-bring-back"),
    path("hosts/<slug:name>/bring-back/", bringing_back.all_of, name="host-bring-back"),
    path("vms/<uuid:uuid>/leave-out/", exclusions.leave_out, name="disk-leave-out"),
    path("vms/<uuid:uuid>/take-in/", exclusions.take_in, name="disk-take-in"),
    path("generations/<str:key>/", generations.generation, name="generation"),
    path("generations/<str:key>/protect/", retaining.protect, name="generation-protect"),
    path("generations/<str:key>/unprotect/", retaining.unprotect, name="generation-unprotect"),
    path("generations/<str:key>/verify/", generations.verify, name="generation-verify"),
    path("generations/<str:key>/mend/", mending.mend, name="generation-mend"),
    path("generations/<str:key>/restore/", restoring.restore, name="generation-restore"),
    path("restores/<int:pk>/again/", restoring.again, name="restore-again"),
    path("generations/<str:key>/rehearse/", rehearsals.rehearse, name="generation-rehearse"),
    path("rehearsals/<int:pk>/screen.png", rehearsals.screen, name="rehearsal-screen"),
    path("rehearsals/<int:pk>/small.png", rehearsals.thumbnail, name="rehearsal-thumbnail"),
    path("policies/", policies.policies, name="policies"),
    path("policies/recommended/", policies.recommended, name="policy-recommended"),
    path("policies/story/", policies.recommended),  # its name before
    path("policies/new/", policies.new, name="policy-new"),
    path("policies/<int:pk>/", policies.policy, name="policy"),
    path("policies/<int:pk>/delete/", policies.delete, name="policy-delete"),
    path("stores/", stores.stores, name="stores"),
    path("stores/add/", stores.add, name="store-add"),
    path("stores/<slug:store>/", stores.show, name="store"),
    path("stores/<slug:store>/remove/", removing.store, name="store-remove"),
]
