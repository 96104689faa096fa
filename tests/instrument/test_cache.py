"""Cache reads: counted by alias, answered as ever."""

import pytest
from tests.support.app import counts, run

GETS = "cache_gets_total"
BACKENDS = (
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.filebased.FileBasedCache",
)
SETTINGS = """
from django.conf import settings
settings.CACHES["default"] = {{"BACKEND": {backend!r}, "LOCATION": {place!r}}}
caches._settings = settings.CACHES
vars(caches).pop("settings", None)
del caches["default"]
"""


def use(backend, tmp_path):
    return "\n" + SETTINGS.format(backend=backend, place=str(tmp_path / "cache"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_answer_changes(tmp_path, backend):
    said = run(
        tmp_path / "run",
        "caches['default']"
        + use(backend, tmp_path)
        + """
cache.set("zero", 0); cache.set("none", None); cache.set("empty", "")
show([
    cache.get("zero", 7), cache.get("none", 7), cache.get("empty", 7),
    cache.get("absent"), cache.get("absent", 7), cache.get(key="absent", default=8),
    cache.get_many(["zero", "none", "absent"]), cache.get_many(k for k in ("zero",)),
    cache.get_or_set("made", lambda: 5), cache.get_or_set("made", 6),
    cache.get_or_set("plain", 3), "zero" in cache, cache.has_key("absent"),
    cache.incr("zero", 2), cache.touch("zero"), cache.delete("zero"),
])
""",
    )

    assert said == [
        *(0, None, "", None, 7, 8),
        *({"zero": 0, "none": None}, {"zero": 0}),
        *(5, 5, 3, True, False, 2, True, True),
    ]
    found = counts(tmp_path / "run")
    # get: 3 hits, 3 misses; get_many: 2 + 1 hits, 1 miss; get_or_set: 2 misses, 1 hit.
    assert found.get(GETS, alias="default", role="web", result="hit") == 7
    assert found.get(GETS, alias="default", role="web", result="miss") == 6


def test_async_reads_are_counted_once_too(tmp_path):
    said = run(
        tmp_path,
        """
async def main():
    await cache.aset("zero", 0)
    return [
        await cache.aget("zero", 7), await cache.aget("absent", 7),
        await cache.aget_many(["zero", "absent"]),
        await cache.aget_or_set("made", lambda: 5), await cache.aincr("zero"),
        await cache.ahas_key("zero"),
    ]
show(asyncio.run(main()))
""",
    )

    assert said == [0, 7, {"zero": 0}, 5, 1, True]
    found = counts(tmp_path)
    assert found.get(GETS, alias="default", role="web", result="hit") == 2
    assert found.get(GETS, alias="default", role="web", result="miss") == 3


def test_every_alias_stands_at_zero(tmp_path):
    run(tmp_path, "")

    found = counts(tmp_path)
    for alias in ("default", "other"):
        for result in ("hit", "miss"):
            assert found.get(GETS, alias=alias, role="web", result=result) == 0


def test_a_cache_that_raises_is_counted_and_raises(tmp_path):
    raised = run(
        tmp_path,
        """
def broken(*args, **named):
    raise ConnectionError("cache is down")
type(caches["default"]._watchroom_real).get = broken
try:
    cache.get("a")
except ConnectionError as error:
    show(str(error))
""",
    )

    assert raised == "cache is down"
    assert counts(tmp_path).get("cache_errors_total", alias="default", role="web") == 1


def test_a_cache_is_what_it_was(tmp_path):
    said = run(
        tmp_path,
        """
from django.core.cache.backends.locmem import LocMemCache
one = caches["default"]
one.key_prefix = "p"
one.set("a", 1)
show([
    isinstance(one, LocMemCache), type(one).__name__, type(one).__module__,
    one._watchroom_real.key_prefix, one.get("a"), caches["default"] is one,
])
""",
    )

    module = "django.core.cache.backends.locmem"
    assert said == [True, "LocMemCache", module, "p", 1, True]
