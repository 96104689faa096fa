"""Cache backends that can forget on purpose, so that a miss is a real miss."""

from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.redis import RedisCache

from faults.switches import switches


def forgets(key):
    # What a health check has just stored stays: two servers that each ask for /health/
    # would meet a fault of chance at different moments.
    return not key.startswith("watchroom-") and switches.struck("cache-misses")


class Forgetful:
    """Deletes what is about to be read when the fault strikes."""

    def get(self, key, default=None, version=None):
        if forgets(key):
            self.delete(key, version=version)
        return super().get(key, default, version=version)

    def get_many(self, keys, version=None):
        keys = list(keys)
        if struck := [key for key in keys if forgets(key)]:
            self.delete_many(struck, version=version)
        return super().get_many(keys, version=version)


class ForgetfulFileBasedCache(Forgetful, FileBasedCache):
    pass


class ForgetfulRedisCache(Forgetful, RedisCache):
    pass
