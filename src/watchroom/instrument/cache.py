"""Cache reads: hits and misses per key, by the cache's alias.

The handler hands out an instance of a subclass made on the spot, which shares all
state with the real back end and hands its calls on to it. Calls that a back end makes
to itself (``incr`` reads first, ``get_many`` may read key by key) therefore stay
uncounted, and ``isinstance`` holds.

Every answer is the real back end's. Only Django's own ``get`` is asked with a default
of ours, by which a stored None differs from nothing stored; others may unpack what they
find, or answer something else, and are asked exactly as the app asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from watchroom.catalogue.metrics import CACHE_ERRORS, CACHE_GETS
from watchroom.context.trace import current
from watchroom.registry.guard import fault, guarded
from watchroom.registry.process import LOCKED, PROCESS, add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from watchroom.runtime.slots import Cell

    Read = tuple[Cell, Cell, Cell]

# Distinguishes a stored None, 0 or "" from a miss.
_MISSING = object()
# Not a value that a back end returns: hit or miss is unknown.
_UNKNOWN = object()
_PLAIN = frozenset({"key", "default", "version"})
_DJANGOS = "django.core.cache.backends."
_TWIN = "_watchroom_twin"
_CACHE = "cache"
# Besides reads: what the base class answers by reading through `self`.
_HANDED_ON = (
    *("has_key", "__contains__", "incr", "decr", "incr_version", "decr_version"),
    *("ahas_key", "aincr", "adecr", "aincr_version", "adecr_version"),
)


class CountingCache:
    """What goes before a back end's class: its reads, counted."""

    # Not in the state both share: the real one would hold itself, and under ASGI each
    # request's would keep its connections until the garbage collector comes by.
    __slots__ = ("_watchroom_key", "_watchroom_real")
    _watchroom_real: BaseCache
    _watchroom_key: tuple[str, str]
    _watchroom_get: Callable[..., Any] | None
    _watchroom_aget: Callable[..., Any] | None

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Read one key."""
        default, absent = None, _MISSING
        try:
            real = self._watchroom_real
            djangos = type(real).get is self._watchroom_get
            if djangos and len(args) == 1 and not kwargs:  # nearly all reads
                value = real.get(args[0], _MISSING)
            else:
                args, kwargs, default, absent = _question(args, kwargs, djangos)
                value = real.get(*args, **kwargs)
        except BaseException:
            _failed(self)
            raise
        if value is absent:
            _read(self, 0, 1)
            return default
        try:
            # `_read`, written out for a hit: amid cold caches a call costs half a µs.
            if PROCESS.on and absent is not _UNKNOWN:
                trace = current()
                if trace is not None:
                    trace.hits += 1
                key = self._watchroom_key
                cells: Read = PROCESS.cells.get(key) or _cells(key)
                view, at = cells[0]
                if LOCKED:
                    add(view, at, 1.0)
                else:
                    view[at] += 1.0
        except Exception:  # noqa: BLE001 - the guard, written out
            fault("cache")
        return value

    async def aget(self, *args: Any, **kwargs: Any) -> Any:
        """Read one key."""
        real = self._watchroom_real
        backend_class = type(real)
        djangos = (
            backend_class.aget is self._watchroom_aget
            and backend_class.get is self._watchroom_get
        )
        args, kwargs, default, absent = _question(args, kwargs, djangos)
        try:
            value = await real.aget(*args, **kwargs)
        except BaseException:
            _failed(self)
            raise
        if value is absent:
            _read(self, 0, 1)
            return default
        if absent is not _UNKNOWN:
            _read(self, 1, 0)
        return value

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        """Read several keys."""
        args, kwargs, requested = _counted_keys(args, kwargs)
        try:
            values = self._watchroom_real.get_many(*args, **kwargs)
        except BaseException:
            _failed(self)
            raise
        _read_many(self, values, requested)
        return values

    async def aget_many(self, *args: Any, **kwargs: Any) -> Any:
        """Read several keys."""
        args, kwargs, requested = _counted_keys(args, kwargs)
        try:
            values = await self._watchroom_real.aget_many(*args, **kwargs)
        except BaseException:
            _failed(self)
            raise
        _read_many(self, values, requested)
        return values

    def get_or_set(self, *args: Any, **kwargs: Any) -> Any:
        """Read one key, or store it: one read, hit or miss."""
        lookup = _Lookup(type(self._watchroom_real).get_or_set is BaseCache.get_or_set)
        args, kwargs = lookup.instead(args, kwargs)
        try:
            value = self._watchroom_real.get_or_set(*args, **kwargs)
        except BaseException:
            lookup.failed(self)
            raise
        lookup.count(self)
        return value

    async def aget_or_set(self, *args: Any, **kwargs: Any) -> Any:
        """Read one key, or store it: one read, hit or miss."""
        lookup = _Lookup(
            type(self._watchroom_real).aget_or_set is BaseCache.aget_or_set
        )
        args, kwargs = lookup.instead(args, kwargs)
        try:
            value = await self._watchroom_real.aget_or_set(*args, **kwargs)
        except BaseException:
            lookup.failed(self)
            raise
        lookup.count(self)
        return value


class _Lookup:
    """Learns from whether the default was wanted that the key was missing."""

    def __init__(self, known: bool) -> None:  # noqa: FBT001 - private
        self._known = known  # the semantics are Django's own
        self._wanted = False
        self._raised = False

    def instead(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not self._known:
            return args, kwargs
        if len(args) > 1:
            return (args[0], self._default(args[1]), *args[2:]), kwargs
        if "default" in kwargs:
            return args, {**kwargs, "default": self._default(kwargs["default"])}
        return args, kwargs

    def _default(self, default: Any) -> Callable[[], Any]:
        def ask() -> Any:
            self._wanted = True
            if not callable(default):
                return default
            self._raised = True
            value = default()
            self._raised = False
            return value

        return ask

    def failed(self, cache: CountingCache) -> None:
        if self._raised:  # the default's own fault, after an honest miss
            _read(cache, 0, 1)
        else:
            _failed(cache)

    def count(self, cache: CountingCache) -> None:
        if self._known:
            _read(cache, 0 if self._wanted else 1, 1 if self._wanted else 0)


def install() -> None:
    """Count the reads of all caches, those of now and those to come."""
    if "create_connection" not in vars(caches):
        create = caches.create_connection

        def create_counted(alias: str) -> BaseCache:
            backend = create(alias)
            return wrap(backend, alias) or backend

        caches.create_connection = create_counted  # type: ignore[method-assign]  # the handler is where aliases are known
        for alias in caches:
            if hasattr(caches._connections, alias):  # type: ignore[attr-defined]  # noqa: SLF001 - `all()` gives no aliases
                caches[alias] = wrap(caches[alias], alias) or caches[alias]
    PROCESS.seed(_seed)


@guarded("cache")
def wrap(backend: BaseCache, alias: str) -> BaseCache:
    """Return a counted twin of a back end; both share all their state."""
    if isinstance(backend, CountingCache):
        return backend
    backend_class = type(backend)
    # With the class and not in a table of ours, which would keep classes for ever.
    twin_class = vars(backend_class).get(_TWIN) or _twin_class(backend_class)
    twin: Any = object.__new__(twin_class)
    twin.__dict__ = backend.__dict__
    twin._watchroom_real = backend  # noqa: SLF001 - ours
    twin._watchroom_key = (_CACHE, alias)  # noqa: SLF001 - ours
    return cast("BaseCache", twin)


def _twin_class(backend_class: type[BaseCache]) -> type[BaseCache]:
    twin_class = type(
        backend_class.__name__,
        (CountingCache, backend_class),
        {
            "__module__": backend_class.__module__,
            "__qualname__": backend_class.__qualname__,
            "__doc__": backend_class.__doc__,
            "_watchroom_get": _djangos(backend_class, "get"),
            "_watchroom_aget": _djangos(backend_class, "aget"),
            **{name: _hand_on(backend_class, name) for name in _HANDED_ON},
        },
    )
    setattr(backend_class, _TWIN, twin_class)
    return twin_class


def _djangos(
    backend_class: type[BaseCache], name: str
) -> staticmethod[..., Any] | None:
    """Return the method if it is Django's own: it hands a default back untouched."""
    method = getattr(backend_class, name)
    is_django = method.__module__.startswith(_DJANGOS) and not hasattr(
        method, "__wrapped__"
    )
    return staticmethod(method) if is_django else None


def _hand_on(backend_class: type[BaseCache], name: str) -> Callable[..., Any]:
    def call(self: CountingCache, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._watchroom_real, name)(*args, **kwargs)

    call.__name__ = name
    if iscoroutinefunction(getattr(backend_class, name)):
        markcoroutinefunction(call)
    return call


def _question(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    djangos: bool,  # noqa: FBT001 - private
) -> tuple[tuple[Any, ...], dict[str, Any], Any, Any]:
    """Return how to ask, the default, and what is answered when nothing is stored."""
    if len(args) > len(_PLAIN) or not kwargs.keys() <= _PLAIN:
        return args, kwargs, None, _UNKNOWN  # who knows what is asked for
    default = args[1] if len(args) > 1 else kwargs.get("default")
    if not djangos:
        return args, kwargs, default, default
    if len(args) > 1:
        return (args[0], _MISSING, *args[2:]), kwargs, default, _MISSING
    return args, {**kwargs, "default": _MISSING}, default, _MISSING


def _counted_keys(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    keys = args[0] if args else kwargs.get("keys", ())
    if hasattr(keys, "__len__"):
        return args, kwargs, keys
    requested: list[Any] = []  # a generator can be counted only while it is read
    keys = _noted(keys, requested)
    if args:
        return (keys, *args[1:]), kwargs, requested
    return args, {**kwargs, "keys": keys}, requested


def _noted(keys: Iterable[Any], requested: list[Any]) -> Iterator[Any]:
    for key in keys:
        requested.append(key)
        yield key


def _read(cache: CountingCache, hits: int, misses: int) -> None:
    try:
        if not PROCESS.on:
            return
        trace = current()
        if trace is not None:
            trace.hits += hits
            trace.misses += misses
        key = cache._watchroom_key  # noqa: SLF001 - ours
        cells: Read = PROCESS.cells.get(key) or _cells(key)
        if hits:
            add(*cells[0], hits)
        if misses:
            add(*cells[1], misses)
    except Exception:  # noqa: BLE001 - the guard, written out
        fault("cache")


@guarded("cache")
def _read_many(cache: CountingCache, values: Any, requested: Any) -> None:
    if PROCESS.on:
        _read(cache, len(values), max(0, len(set(requested)) - len(values)))


@guarded("cache")
def _failed(cache: CountingCache) -> None:
    if PROCESS.on:
        key = cache._watchroom_key  # noqa: SLF001 - ours
        cells: Read = PROCESS.cells.get(key) or _cells(key)
        add(*cells[2], 1.0)


@guarded("cache")
def _seed() -> None:
    for alias in caches:
        _cells((_CACHE, alias))


def _cells(key: tuple[str, str]) -> Read:
    (_, alias), role = key, PROCESS.role
    cells = (
        PROCESS.cell(CACHE_GETS, (alias, role, "hit")),
        PROCESS.cell(CACHE_GETS, (alias, role, "miss")),
        PROCESS.cell(CACHE_ERRORS, (alias, role)),
    )
    PROCESS.remember(key, cells)
    return cells
