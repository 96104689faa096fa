"""What the checklist's probes can use, and what they return."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from watchroom.prove import client
from watchroom.prove.records import FAILED, PASSED, UNVERIFIABLE, age

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchroom.prove.chain import Chain
    from watchroom.prove.drills.drill import Built
    from watchroom.prove.records import Known, ProofRecord, Result

_DAY = 86400.0
_CERTIFICATES = "SSL_CERT_FILE"
PLACES = (
    "STATE_DIRECTORY",
    "WATCHROOM_RUNTIME_DIR",
    "WATCHROOM_TOKEN_FILE",
    _CERTIFICATES,
)
"""Variables by which commands find tokens, results and certificates: paths only."""


class Finding(NamedTuple):
    """What a probe found.

    Attributes:
        state: `PASSED`, `FAILED` or `UNVERIFIABLE`.
        evidence: What was seen.
        next: What to do; empty when there is nothing to do.
        proofs: Further results to record.
    """

    state: str
    evidence: str
    next: str = ""
    proofs: tuple[Result, ...] = ()


class Given(NamedTuple):
    """The options of the user's command, for the commands that it prints.

    Attributes:
        directory: The built directory.
        prometheus: URL of Prometheus or the monitor; empty when none was given.
        alertmanager, exporter, grafana: Likewise.
        program: How the command was started, for a shell with another PATH.
        environment: Variables that name its files; no secrets.
    """

    directory: str = ""
    prometheus: str = ""
    alertmanager: str = ""
    exporter: str = ""
    grafana: str = ""
    program: tuple[str, ...] = ("watchroom",)
    environment: tuple[tuple[str, str], ...] = ()

    def command(self, name: str, *words: str) -> str:
        """Return a command for any shell, for the same servers and files.

        It finds the same tokens and certificates as this one.
        """
        servers = [
            ("--url", self.prometheus),
            ("--alertmanager", self.alertmanager),
            ("--exporter", self.exporter),
        ]
        options = {
            "build": [("", self.directory or "monitoring")],
            "check": [("", self.directory), *servers, ("--grafana", self.grafana)],
            "drill": [("--dir", self.directory), *servers],
            "reload": [("", self.directory), ("--url", self.prometheus)],
        }
        arguments = [part for pair in options[name] if pair[1] for part in pair if part]
        variables = [
            f"{key}={shlex.quote(value)}"
            for key, value in self.environment
            if key != _CERTIFICATES or name == "check"
        ]
        return " ".join(
            [*variables, shlex.join([*self.program, name, *words, *arguments])]
        )


class World(NamedTuple):
    """Everything that probes can use.

    Attributes:
        built: The built files.
        chain: The servers.
        known: Earlier results.
        now: Epoch seconds.
        environ: The environment: DSN and tokens of other services.
        grafana: Base URL of Grafana, or empty.
        send: Whether probes may send marked events.
        given: The command's options.
    """

    built: Built
    chain: Chain
    known: Known
    now: float
    environ: Mapping[str, str]
    grafana: str = ""
    send: bool = False
    given: Given = Given()

    def command(self, name: str, *words: str) -> str:
        """Return a command to paste into a shell."""
        return self.given.command(name, *words)

    @property
    def reloading(self) -> str:
        """How to make the server read its files again."""
        if self.chain.embedded:
            return self.command("reload")
        return f"reload {self.chain.prometheus}: SIGHUP, or POST /-/reload"

    def ask(self, path: str, query: dict[str, str] | None = None) -> Any:
        """Return the `data` of an answer of Prometheus or the monitor.

        Raises:
            PeerError: It can't be reached, or answers with an error.
        """
        url = f"{self.chain.prometheus}/api/v1/{path}"
        return client.get(url, query, token=self.chain.watch_token)["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the result of an instant query.

        Raises:
            PeerError: As `ask`.
        """
        result: list[dict[str, Any]] = self.ask("query", {"query": expr})["result"]
        return result

    def number(self, expr: str) -> float | None:
        """Return the first number of an instant query, or None without any."""
        result = self.query(expr)
        return float(result[0]["value"][1]) if result else None

    def record(self, kind: str, name: str) -> ProofRecord | None:
        """Return the last result of an item."""
        return self.known.get((kind, name))

    def passed_within(self, kind: str, name: str, days: float) -> float | None:
        """Return when an item passed, if its last result is that, and recent."""
        record = self.record(kind, name)
        if record is None or record.result.state != PASSED:
            return None
        at = record.result.at
        return at if self.now - at <= days * _DAY else None

    def ago(self, at: float) -> str:
        """Return how long ago something was."""
        return age(at, self.now)

    @property
    def sites(self) -> list[str]:
        """The root URL of each public site, without a trailing slash."""
        return list(dict.fromkeys(bases[-1] for bases in self.mounts))

    @property
    def mounts(self) -> list[list[str]]:
        """Where each public address may have its app: its path first, its root last.

        Behind SCRIPT_NAME an app is below a path of the server.
        """
        mounts = []
        for site in self.built.manifest.sites:
            parts = urlsplit(site)
            steps = [step for step in parts.path.split("/") if step]
            paths = ["/".join(("", *steps[:n])) for n in range(len(steps), -1, -1)]
            mounts.append([f"{parts.scheme}://{parts.netloc}{path}" for path in paths])
        return mounts


def green(evidence: str) -> Finding:
    """Return a finding: verified."""
    return Finding(PASSED, evidence)


def red(evidence: str, following: str) -> Finding:
    """Return a finding: wrong or missing, and what to do."""
    return Finding(FAILED, evidence, following)


def unclear(evidence: str, following: str) -> Finding:
    """Return a finding: can't be verified from here, and how it could be."""
    return Finding(UNVERIFIABLE, evidence, following)


def now() -> float:
    """Return epoch seconds."""
    return time.time()


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to the machine it is opened on."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def named(names: list[str], most: int = 4) -> str:
    """Return a list in words, shortened when it is long."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
