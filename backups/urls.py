"""Addresses of the app backups."""

from django.urls import path

from backups.views import backing_up, coverage, generations, stores

urlpatterns = [
    path("coverage/", coverage.coverage, name="coverage"),
    path("vms/<uuid:uuid>/back-up/", backing_up.back_up, name="vm-back-up"),
    path("generations/<str:key>/", generations.generation, name="generation"),
    path("generations/<str:key>/verify/", generations.verify, name="generation-verify"),
    path("generations/<str:key>/restore/", generations.restore, name="generation-restore"),
    path("stores/add/", stores.add, name="store-add"),
]
