"""Tests touch neither the cache files nor the queue that are in use."""

from tempfile import TemporaryDirectory

from django.conf import settings
from django.test.runner import DiscoverRunner
from django.test.utils import override_settings

from ledger.celery import app


class Runner(DiscoverRunner):
    """Runs tasks at once, and keeps cache files in a folder that goes away."""

    def setup_test_environment(self, **options):
        super().setup_test_environment(**options)
        self._folder = TemporaryDirectory()
        cache = dict(settings.CACHES["default"])
        if not settings.REDIS_URL:
            cache["LOCATION"] = self._folder.name
        self._settings = override_settings(CACHES={"default": cache})
        self._settings.enable()
        app.conf.update(task_always_eager=True, task_eager_propagates=True)

    def teardown_test_environment(self, **options):
        self._settings.disable()
        self._folder.cleanup()
        super().teardown_test_environment(**options)
