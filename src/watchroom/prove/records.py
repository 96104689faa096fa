"""Results of drills and checks: stored by the monitor, or in a file."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from watchroom.errors import WatchroomError
from watchroom.prove import client

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PASSED, FAILED, UNVERIFIABLE = "passed", "failed", "unverifiable"
_PATH = "/api/v1/watchroom/proofs"
_LARGEST_FILE = 8 << 20


class Result(NamedTuple):
    """The result of a drill or check.

    Attributes:
        kind: ``drill`` (an alert), ``receiver``, ``wake`` (a contact), ``item`` (of the
            launch checklist), ``run`` (of many drills) or ``sent`` (a marked event).
        name: Name of the alert, receiver, contact or item.
        at: When, seconds since the epoch.
        state: `PASSED`, `FAILED` or `UNVERIFIABLE`.
        detail: What was seen, or what failed; never a secret.
        more: What to do next, or empty.
        seconds: From the fault to the page, if there was one.
        of: Fingerprint of what was tested: a changed rule or DSN needs a new test.
    """

    kind: str
    name: str
    at: float
    state: str
    detail: str
    more: str = ""
    seconds: float | None = None
    of: str = ""


class ProofRecord(NamedTuple):
    """The last result of an item.

    Attributes:
        result: What was found last.
        passed_at: When it last passed; None when it never did.
    """

    result: Result
    passed_at: float | None


Known = dict[tuple[str, str], ProofRecord]


class Records(Protocol):
    """Where results are stored."""

    where: str

    def note(self, results: Sequence[Result]) -> None:
        """Store results; each replaces the last one of its kind and name.

        Raises:
            WatchroomError: They could not be stored.
        """

    def known(self) -> Known:
        """Return all last results, by kind and name.

        Raises:
            WatchroomError: They could not be read.
        """


class MonitorRecords:
    """Results stored by the monitor, which shows them."""

    def __init__(self, monitor: str, token: str) -> None:
        self.where = f"{monitor}/checklist"
        self._url = monitor + _PATH
        self._token = token

    def note(self, results: Sequence[Result]) -> None:
        """Post them."""
        body = {"results": [result._asdict() for result in results]}
        client.post(self._url, body, token=self._token)

    def known(self) -> Known:
        """Ask for them."""
        return _records(client.get(self._url, token=self._token)["data"])


class FileRecords:
    """Results stored in a file, as a real Prometheus can't store them."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def note(self, results: Sequence[Result]) -> None:
        """Add them to the file, atomically."""
        known = self.known()
        for result in results:
            key = result.kind, result.name
            before = known[key].passed_at if key in known else None
            passed = result.at if result.state == PASSED else before
            known[key] = ProofRecord(result, passed)
        text = json.dumps(
            [
                {**record.result._asdict(), "passed_at": record.passed_at}
                for record in known.values()
            ],
            indent=1,
        )
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(handle, "w") as file:
                file.write(text)
            Path(name).replace(self._path)
        except OSError as error:
            raise WatchroomError(f"{self._path}: {error.strerror}") from None

    def known(self) -> Known:
        """Read them; a file that can't be read counts as empty."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if self._path.stat().st_size <= _LARGEST_FILE:
                return _records(json.loads(self._path.read_text()))
        return {}


def fingerprint(*texts: str, secret: str | None = None) -> str:
    """Return the fingerprint of a configuration; white space doesn't matter.

    Of a secret it has two bytes of a hash: enough to notice a change, too little to
    guess the secret.
    """
    text = "\n".join(" ".join(each.split()) for each in texts)
    mark = blake2b(text.encode(), digest_size=8).hexdigest()
    if secret is None:
        return mark
    small = blake2b(secret.encode(), digest_size=2, salt=mark.encode()[:16])
    return f"{mark}-{small.hexdigest()}"


def age(at: float, now: float | None = None) -> str:
    """Return how long ago something was, as people say it: ``2 d ago``."""
    seconds = max(0.0, (time.time() if now is None else now) - at)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def _records(rows: Iterable[dict[str, Any]]) -> Known:
    records = {}
    for row in rows:
        known = {name: row[name] for name in Result._fields if name in row}
        result = Result(**known)
        records[result.kind, result.name] = ProofRecord(result, row.get("passed_at"))
    return records
