"""Back ends as projects and packages write them: wider than Django's, or stricter."""

import zlib

from django.core.cache.backends.locmem import LocMemCache


class Wide(LocMemCache):
    """Takes more than Django's back ends, as those of diskcache and django-redis do."""

    def get(self, key, default=None, version=None, expire_time=False, **_):
        """Read one key, on request with the time when it expires."""
        found = super().get(key, default, version)
        if not expire_time:
            return found
        return found, self._expire_info.get(self.make_key(key, version))

    async def aget(self, key, default=None, version=None, client=None):
        """Read one key."""
        return self.get(key, default, version, client=client)

    def get_many(self, *args, **named):
        """Read several keys."""
        return dict(sorted(super().get_many(*args, **named).items()))

    def get_or_set(self, key, default, timeout=None, version=None, prefix=""):
        """Read one key, or store it."""
        return super().get_or_set(prefix + key, default, timeout, version)

    def incr(self, key, delta=1, version=None, ignore_missing=False):
        """Add to a number, missing or not."""
        if ignore_missing and not self.has_key(key, version):
            return None
        return super().incr(key, delta, version)


class Squashed(LocMemCache):
    """Keeps text compressed, and expects nothing else but None for nothing."""

    def get(self, key, default=None, version=None):
        """Read one key."""
        found = super().get(key, default, version)
        return None if found is None else zlib.decompress(found).decode()

    def set(self, key, value, *args, **named):
        """Store one key."""
        super().set(key, zlib.compress(str(value).encode()), *args, **named)


class Spoken(LocMemCache):
    """Has a default of its own."""

    def get(self, key, default="nothing", version=None):
        """Read one key."""
        return super().get(key, default, version)
