"""Cache backends that can forget on purpose, so that a miss is a real miss."""

from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.redis import RedisCache

from faults.switches import switches


class Forgetful:
    """Deletes what is about to be read when the fault strikes."""

    def get(self, key, default=None, version=None):
        if switches.struck("cache-misses"):
            self.delete(key, version=version)
        return super().get(key, default, version=version)

    def get_many(self, keys, version=None):
        keys = list(keys)
        if struck := [key for key in keys if switches.struck("cache-misses")]:
            self.delete_many(struck, version=version)
        return super().get_many(keys, version=version)


class ForgetfulFileBasedCache(Forgetful, FileBasedCache):
    pass


class ForgetfulRedisCache(Forgetful, RedisCache):
    pass
