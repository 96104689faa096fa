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


def test_every_alias_starts_at_zero(tmp_path):
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


CLASSES = ("Wide", "Squashed", "Spoken")
NAMED = {
    **{backend.rpartition(".")[2]: backend for backend in BACKENDS},
    "DummyCache": "django.core.cache.backends.dummy.DummyCache",
    **{name: f"tests.app.caches.{name}" for name in CLASSES},
}
# What is asked of each, in this order; `c` is the cache.
ASKED = """
c.set("zero", 0) or c.set("none", None) or c.set("empty", "")
c.get("zero"), c.get("none", 7), c.get("empty", default=7), c.get("absent")
c.get("absent", 7), c.get("absent", 7, 1), c.get(key="absent", default=8, version=1)
c.get("zero", version=2), c.get("zero", 7, version=2), c.get("absent", None)
c.get("absent", expire_time=True), c.get("absent", 7, 1, True)
c.get("zero", client="b"), c.get("absent", 7, client="b")
c.get()
c.get("a", 1, 2, 3, 4, 5)
c.get("a", 1, default=2)
c.get("a", tag=True)
c.get([])
c.get_many(["zero", "none", "absent"]), c.get_many(keys=("zero",))
c.get_many(k for k in "ab"), c.get_many(keys=(k for k in ["zero"]))
c.get_many(["zero"], 2), c.get_many(["zero"], version=2), c.get_many([])
c.get_many(k for k in [1 / 0])
c.get_many(5)
c.get_many()
c.get_or_set("made", lambda: 5), c.get_or_set("made", 6), c.get_or_set("made", None)
c.get_or_set(key="named", default=lambda: 1 / 0)
c.get_or_set(key="named", default="b", timeout=5, version=1), c.get("named")
c.get_or_set("piece", 3, prefix="a"), c.get("apiece")
c.get_or_set("nothing", None), c.get_or_set("called", dict), c.get_or_set("zero", 4)
c.get_or_set("alone")
"zero" in c, "absent" in c, c.has_key("none"), c.has_key(key="absent", version=2)
c.incr("zero"), c.incr("zero", 2), c.incr(key="zero", delta=3, version=1)
c.incr("absent")
c.incr("absent", ignore_missing=True), c.decr("zero"), c.decr("zero", delta=2)
c.incr_version("zero"), c.decr_version("zero", version=2), c.get("zero")
c.touch("zero"), c.delete("zero"), c.delete("zero"), c.add("zero", 1), c.add("zero", 2)
await c.aget("zero"), await c.aget("absent"), await c.aget("absent", 7, 1)
await c.aget(key="absent", default=7), await c.aget("zero", version=2)
await c.aget("absent", client="b"), await c.aget("absent", 7, client="b")
await c.aget()
await c.aget_many(["zero", "absent"]), await c.aget_many(k for k in ["zero"])
await c.aget_or_set("late", lambda: 5), await c.aget_or_set("late", 6)
await c.aget_or_set(key="later", default=lambda: 1 / 0)
await c.aincr("zero"), await c.adecr(key="zero", delta=2), await c.ahas_key("absent")
await c.aincr("absent")
await c.aincr_version("zero"), await c.adecr_version("zero", version=2)
"""
EACH = """
import ast, inspect
from django.conf import settings
from django.test.utils import override_settings

async def answer(alias, line):
    code = compile(line, "asked", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    try:
        said = eval(code, {"c": caches[alias]})
        return repr(await said if inspect.iscoroutine(said) else said)
    except Exception as error:
        return repr(error)

async def main():
    return {
        alias: [await answer(alias, line) for line in ASKED.strip().splitlines()]
        for alias in NAMED
    }

given = {n: {"BACKEND": b, "LOCATION": PLACE + n} for n, b in NAMED.items()}
with override_settings(CACHES=given):
    show([type(caches["Wide"]).__mro__[1].__name__, asyncio.run(main())])
"""


def test_every_call_is_answered_as_without_watchroom(tmp_path):
    def asked(way, **more):
        known = {"NAMED": NAMED, "ASKED": ASKED, "PLACE": str(tmp_path / way)}
        lines = "\n".join(f"{name} = {value!r}" for name, value in known.items())
        return run(tmp_path / "run", lines + EACH, **more)

    bare, expected = asked("bare", WATCHROOM_ENABLED="0")

    first, answers = asked("watched")

    assert (bare, first) == ("LocMemCache", "CountingCache")
    for name in NAMED:
        pairs = zip(
            ASKED.strip().splitlines(), expected[name], answers[name], strict=True
        )
        assert (name, [one for one in pairs if one[1] != one[2]]) == (name, [])


def test_what_only_the_back_end_can_tell_is_no_hit_and_no_miss(tmp_path):
    run(
        tmp_path / "run",
        "caches['default']"
        + use("tests.app.caches.Wide", tmp_path)
        + """
cache.set("here", 1)
cache.get("absent", expire_time=True); cache.get("absent", 7, 1, True)
cache.get("here", client="b")
cache.get("here"); cache.get("here", 7); cache.get("here", version=1)
cache.get("absent"); cache.get(key="absent", default=7)
asyncio.run(cache.aget("here", client="b"))
""",
    )

    found = counts(tmp_path / "run")
    assert found.get(GETS, alias="default", role="web", result="hit") == 3
    assert found.get(GETS, alias="default", role="web", result="miss") == 2


def test_a_back_end_that_changes_later_is_asked_as_it_is_then(tmp_path):
    said = run(
        tmp_path,
        """
from functools import wraps
from django.core.cache.backends.locmem import LocMemCache
cache.set("a", 1)
before = cache.get("a"), cache.get("b")
plain = LocMemCache.get

@wraps(plain)
def twice(self, *args, **named):
    return 2 * plain(self, *args, **named)

LocMemCache.get = twice
patched = cache.get("a"), cache.get("b", 3), asyncio.run(cache.aget("b", 3))
LocMemCache.get = plain
LocMemCache.incr = lambda self, key: f"{key} is later's"
show([before, patched, cache.get("b"), cache.incr("a")])
""",
    )

    assert said == [[1, None], [2, 6, 6], None, "a is later's"]


def test_one_class_per_back_end_and_no_back_end_outlives_its_request(tmp_path):
    said = run(
        tmp_path,
        """
import gc, weakref
from django.core.cache.backends.locmem import LocMemCache

gc.collect(); gc.disable()
one, two = caches.create_connection("default"), caches.create_connection("other")
classes = len({type(one), type(two), type(caches["default"])})
real = weakref.ref(one._watchroom_real)
del one
gone = real() is None

def made():
    class Made(LocMemCache):
        pass

    return weakref.ref(type(wrap(Made("made", {}), "default"))), weakref.ref(Made)

from watchroom.instrument.cache import wrap
at_run_time = made()
gc.collect()
show([classes, gone, [one() is None for one in at_run_time]])
""",
    )

    assert said == [1, True, [True, True]]
