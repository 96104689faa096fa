"""Where targets come from: the file itself, files beside it, an HTTP service."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from watchroom.errors import FormatError, WatchroomError
from watchroom.formats import caps, masked, yamlfile
from watchroom.formats.reading import matching, text_of
from watchroom.messages.scrub import scrubbed
from watchroom.monitor.scrape.client import problem
from watchroom.monitor.scrape.target import TargetGroup
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from watchroom.formats.prometheus import (
        FileSdConfig,
        HttpSdConfig,
        ScrapeConfig,
        StaticConfig,
    )

    OnGroups = Callable[[str, Sequence[TargetGroup]], None]

_LOG = logging.getLogger(__name__)
_LARGEST_ANSWER = caps.MOST_BYTES


class _Group(msgspec.Struct):
    targets: list[str]
    labels: dict[str, str] = {}


def static_groups(configs: Sequence[StaticConfig]) -> list[TargetGroup]:
    """Return the groups of `static_configs`."""
    return [
        TargetGroup(tuple(config.targets), tuple(sorted(config.labels.items())))
        for config in configs
    ]


class Discovery:
    """Keeps the target groups of one job current.

    Args:
        config: The job.
        root: Relative file names start here.
        session: For HTTP discovery.
        on_groups: Called on the loop with a source's name and its groups, when they
            change. When a source fails, its last groups stay.
    """

    def __init__(
        self,
        config: ScrapeConfig,
        root: Path,
        session: aiohttp.ClientSession,
        on_groups: OnGroups,
    ) -> None:
        self._config = config
        self._root = root
        self._session = session
        self._on_groups = on_groups
        self._last: dict[str, list[TargetGroup]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.failures = 0
        self.last_error = ""

    def start(self) -> None:
        """Report the static groups at once and begin asking the other sources."""
        self._report("static", static_groups(self._config.static_configs))
        for index, http in enumerate(self._config.http_sd_configs):
            self._tasks.append(
                asyncio.create_task(self._http(f"http/{index}", http), name=http.url)
            )
        for index, file in enumerate(self._config.file_sd_configs):
            self._tasks.append(asyncio.create_task(self._file(f"file/{index}", file)))

    async def stop(self) -> None:
        """End every source."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _report(self, source: str, groups: list[TargetGroup]) -> None:
        if self._last.get(source) != groups:
            self._last[source] = groups
            self._on_groups(source, groups)

    async def _http(self, source: str, config: HttpSdConfig) -> None:
        every = parse_duration(config.refresh_interval)
        while True:
            try:
                async with asyncio.timeout(max(1.0, min(every, 30.0))):
                    groups = await self._ask(config)
                self.last_error = ""
                self._report(source, groups)
            except TimeoutError:
                self._failed(config.url, "timed out")
            except WatchroomError as error:
                self._failed(config.url, str(error))
            except (aiohttp.ClientError, OSError, ValueError) as error:
                self._failed(config.url, problem(error))
            await asyncio.sleep(every)

    async def _ask(self, config: HttpSdConfig) -> list[TargetGroup]:
        headers = {"Accept": "application/json"}
        if config.authorization is not None:
            path = self._root / config.authorization.credentials_file
            token = await asyncio.to_thread(path.read_text)
            headers["Authorization"] = f"Bearer {token.strip()}"
        async with self._session.get(config.url, headers=headers) as response:
            if response.status != 200:
                raise FormatError(f"answered HTTP {response.status}")
            body = await response.content.read(_LARGEST_ANSWER + 1)
            while chunk := await response.content.readany():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    break
        if len(body) > _LARGEST_ANSWER:
            raise FormatError(f"answered more than {_LARGEST_ANSWER} bytes")
        return _decode(body.decode(), (("__meta_url", masked.url(config.url)),))

    async def _file(self, source: str, config: FileSdConfig) -> None:
        every = parse_duration(config.refresh_interval)
        while True:
            try:
                groups = await asyncio.to_thread(self._read_files, config.files)
                self.last_error = ""
                self._report(source, groups)
            except (WatchroomError, OSError, ValueError) as error:
                self._failed(", ".join(config.files), str(error))
            await asyncio.sleep(every)

    def _read_files(self, patterns: Sequence[str]) -> list[TargetGroup]:
        groups: list[TargetGroup] = []
        for pattern in patterns:
            for path in matching(self._root, pattern):
                meta = (("__meta_filepath", str(path)),)
                text = text_of(path)
                if path.suffix.lower() in {".yml", ".yaml"}:
                    groups += _named(
                        yamlfile.read(text, str(path), list[_Group])[0], meta
                    )
                else:
                    groups += _decode(text, meta)
        return groups

    def _failed(self, source: str, message: str) -> None:
        self.failures += 1
        message = scrubbed(message, masked.secrets_of(source))
        source = masked.url(source)
        if message != self.last_error:
            _LOG.warning(
                "discovery from %s failed; keeping the last targets: %s",
                source,
                message,
            )
        self.last_error = message


def _decode(text: str, meta: tuple[tuple[str, str], ...]) -> list[TargetGroup]:
    """Return the groups of a JSON document.

    Raises:
        FormatError: It is not a list of objects with ``targets`` and ``labels``.
        ConfigError: It is too deep.
    """
    caps.json_within(text, "the target list")
    try:
        return _named(msgspec.json.decode(text, type=list[_Group]), meta)
    except msgspec.DecodeError as error:
        raise FormatError(f"is not a target list: {error}") from error


def _named(
    groups: Sequence[_Group], meta: tuple[tuple[str, str], ...]
) -> list[TargetGroup]:
    return [
        TargetGroup(
            tuple(group.targets), tuple(sorted({**group.labels, **dict(meta)}.items()))
        )
        for group in groups
        if group.targets
    ]
