"""What the documents say is what the code does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support import app, documents
from tests.support.documents import DOCUMENTS, README, ROOT, commands, prose

from watchroom.cli import COMMANDS
from watchroom.derive.known_series import BUILT_IN

each_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)
EVERYTHING = [(path, words) for path in DOCUMENTS for words in commands(path)]
SOURCE = "\n".join(one.read_text() for one in (ROOT / "src").rglob("*.py"))
ENDS = ("", "_total")
ENVIRONMENT = r"\b(?:WATCHROOM|SENTRY|GRAFANA|LOGS)_[A-Z_]+\b"
# Capitalised like an alert, and something else.
NO_ALERTS = {
    *("CloudWatch", "PrometheusRule", "ServiceMonitor"),
    *("GiB", "GlitchTip", "HttpOnly", "JavaScript", "KiB", "LoadCredential", "MiB"),
    *("NaN", "NumPy"),
    *(
        "MemoryMax",
        "OpenTelemetry",
        "PageInhibitor",
        "PagerDuty",
        "PostgreSQL",
        "PromQL",
        "PyPI",
        "SameSite",
    ),
    *("TimeoutStopSec", "VictoriaMetrics"),
    *("HighLatencyReports", "LatencyUnobservedReports"),  # what `limits` makes
}
# What only root does on the machine that is set up; tests/test_units.py does the rest.
ADMINISTRATION = {"useradd", "install", "ln", "cd", "export"}


@each_document
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name) if name else path
        assert found.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor in documents.anchors(found), f"{path.name}: {target}"


def test_every_module_that_the_internals_name_is_there() -> None:
    text = (ROOT / "docs" / "internals.md").read_text()
    named = re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?|\w+\.py)`", text)
    assert len(named) > 30
    places = (ROOT / "src" / "watchroom", ROOT)
    built = ("monitoring/",)  # on the machine of the user
    named = [name for name in named if not name.startswith(built)]
    missing = [n for n in named if not any((base / n).exists() for base in places)]
    assert missing == []


def known_options(name: str) -> set[str]:
    command = getattr(import_module(f"watchroom.cli.commands.{name}"), name)
    params = command.params
    return {option for one in params for option in (*one.opts, *one.secondary_opts)}


@each_document
def test_every_command_in_a_sentence_exists_with_its_options(path: Path) -> None:
    said = re.findall(r"`(?:[A-Z_]+=\S+ )?watchroom\s+(\w+)([^`]*)`", prose(path))
    for name, rest in said:
        assert name in COMMANDS, f"{path.name}: watchroom {name}"
        for option in re.findall(r"(--[\w.-]+)", rest):
            assert option in known_options(name), f"{path.name}: {name} {option}"


def test_every_command_line_is_read_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchroom.cli import watchroom

    (tmp_path / "monitoring").mkdir()
    monkeypatch.chdir(tmp_path)
    for path, words in EVERYTHING:
        if Path(words[0]).name != "watchroom":
            continue
        rest = [word.replace("/srv/shop", str(tmp_path)) for word in words[2:]]
        command = watchroom.get_command(None, words[1])
        assert command is not None, f"{path.name}: {words}"
        # Refuses what is no option, lacks its value, or is a word too many.
        command.make_context(words[1], rest).close()


def options_of(program: str, words: list[str]) -> set[str]:
    """Return the options that a program of the project's environment has."""
    if program == "gunicorn":
        from gunicorn.config import Config

        return set(Config().parser()._option_string_actions)
    if program == "uvicorn":
        command = import_module("uvicorn.main").main
    else:
        name = next(word for word in words if word in {"worker", "beat"})
        command = getattr(import_module(f"celery.bin.{name}"), name)
    return {option for one in command.params for option in one.opts} | {"-A"}


def check_python(path: Path, words: list[str]) -> None:
    if words[1] == "-c":
        compile(words[2], path.name, "exec")
        return
    if words[1] == "-m":
        assert find_spec(words[2]), f"{path.name}: {words}"
        given = [word for word in words if word.startswith("tests/")]
        assert all((ROOT / word).exists() for word in given), f"{path.name}: {words}"
        return
    places = (ROOT / words[1], path.parent / words[1])
    places += tuple(place / "__main__.py" for place in places)
    assert any(place.is_file() for place in places), f"{path.name}: {words}"


def test_every_other_command_is_one_that_exists() -> None:
    from watchroom.exporter.server import PATHS

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    targets = re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text())
    for path, words in EVERYTHING:
        program, said = Path(words[0]).name, f"{path.name}: {' '.join(words)}"
        match program:
            case "watchroom" | "prometheus" | "alertmanager" | "amtool":
                pass  # in tests of their own
            case "make":
                assert words[1] in targets, said
            case "pip":
                named = re.findall(r"\[(\w+)\]", words[2])
                assert words[1] == "install", said
                assert set(named) <= set(extras), said
            case "python" | "python3":
                check_python(path, words)
            case "curl":
                url = next(word for word in words if "://" in word)
                address = "/" + url.split("/", 3)[3]
                assert address in {*PATHS, "/health/", "/faults/"}, said
            case "gunicorn" | "uvicorn" | "celery":
                given = {word for word in words if word.startswith("-")}
                assert given <= options_of(program, words), said
            case (
                "systemctl" | "systemd-analyze" | "systemd-tmpfiles" | "cp" | "sqlite3"
            ):
                units = re.findall(r"[\w-]+\.service", " ".join(words))
                for name in (*units, *[w for w in words if w.startswith("docs/")]):
                    assert (ROOT / "docs" / "systemd" / Path(name).name).exists(), said
            case _:
                assert program in ADMINISTRATION, said


@pytest.mark.judge
def test_every_option_of_the_real_servers_is_theirs() -> None:
    programs = {
        "prometheus": ["prometheus"],
        "alertmanager": ["prometheus-alertmanager"],
        "amtool": ["amtool", "silence", "add"],
    }
    if not all(shutil.which(command[0]) for command in programs.values()):
        pytest.skip("needs prometheus and prometheus-alertmanager")
    helps: dict[str, str] = {}
    for path, words in EVERYTHING:
        if words[0] not in programs:
            continue
        if words[0] not in helps:
            done = subprocess.run(
                [*programs[words[0]], "--help"],
                capture_output=True,
                text=True,
                check=False,
            )
            helps[words[0]] = done.stdout + done.stderr
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in helps[words[0]], f"{path.name}: {word}"


RUN_PYTHON = """
from django.urls import include, path
import logging.config
import watchroom
from watchroom import conf
from watchroom.catalogue import load

for name, text in json.loads(sys.stdin.read()):
    said = {"watchroom": watchroom, "path": path, "include": include}
    exec(compile(text, name, "exec"), said)
    if "WATCHROOM" in said:
        vitals = conf.load(said["WATCHROOM"], {}).vitals
        load.catalogue((), {k: load.Override(*v) for k, v in vitals.items()}, ())
    if "LOGGING" in said:
        logging.config.dictConfig(said["LOGGING"])
show("ran")
"""


def test_every_block_of_python_runs_and_its_settings_are_accepted(
    tmp_path: Path,
) -> None:
    found = [
        (path.name, text)
        for path in DOCUMENTS
        for text in documents.blocks(path, "python")
    ]
    assert len(found) > 10
    script = RUN_PYTHON.replace("sys.stdin.read()", repr(json.dumps(found)))
    assert app.run(tmp_path, script) == "ran"


def test_every_block_of_yaml_is_read() -> None:
    from watchroom.derive import local
    from watchroom.formats import contacts, prometheus, yamlfile
    from watchroom.formats.receivers import HttpConfig

    for path in DOCUMENTS:
        for text in documents.blocks(path, "yaml"):
            if text.startswith("contacts:"):
                names = set(re.findall(r"\w+", "".join(re.findall(r"\[.*\]", text))))
                assert contacts.load(text, path.name, names).order()
            elif text.startswith("alerting:"):
                assert prometheus.load(text, path.name).alerting
            elif text.startswith("authorization:"):
                assert yamlfile.load(text, path.name, HttpConfig).authorization
            else:
                assert yamlfile.load(text, path.name, local.Jobs).scrape_configs


def test_the_settings_table_is_the_settings() -> None:
    from watchroom.conf import reading

    table = (ROOT / "docs" / "settings.md").read_text()
    assert re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE) == list(reading.KEYS)


def test_the_table_of_vitals_is_the_catalogue() -> None:
    from watchroom.catalogue.standard import VITALS

    table = README.split("### What you get")[1].split("###")[0]
    rows = dict(re.findall(r"^\| (\w+) \| .* \| (\w+) \|$", table, re.MULTILINE))
    rows.pop("vital")
    assert rows == {vital.name: vital.alerts[0].severity for vital in VITALS}


def test_the_table_of_alerts_is_the_catalogue() -> None:
    from watchroom.catalogue.standard import VITALS

    text = (ROOT / "docs/vitals.md").read_text().split("## All alerts")[1]
    said = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in re.findall(r"(?m)^\| [A-Z]\w+ \|.*$", text)
    ]
    assert said == [
        (
            one.name,
            one.for_.replace("0s", "at once"),
            one.severity,
            str(one.priority).replace("none", "–"),
            vital.blind.name if vital.blind and one is vital.alerts[0] else "",
        )
        for vital in VITALS
        for one in vital.alerts
    ]


@each_document
def test_every_alert_metric_and_variable_named_exists(path: Path) -> None:
    from watchroom.catalogue import collected, metrics
    from watchroom.catalogue.standard import VITALS

    alerts = {one.name for vital in VITALS for one in vital.alerts}
    alerts |= {vital.blind.name for vital in VITALS if vital.blind}
    text = prose(path)
    word = r"(?<![\w./:$-])[A-Z][a-z]+(?:[A-Z][a-z]*)+(?![\w(])"
    if "decisions" not in path.parts:  # these tell of what was, too
        assert set(re.findall(word, text)) <= alerts | NO_ALERTS
    assert {n for n in re.findall(ENVIRONMENT, text) if n not in SOURCE} == set()
    known = {
        each.name
        for module in (metrics, collected)
        for each in vars(module).values()
        if isinstance(each, metrics.Metric)
    }
    ends = "total|seconds|bytes|up|info|connections|limit|readonly"
    named = re.findall(rf"`((?:[a-z]+_)+(?:{ends}))(?:\{{[^`]*)?`", text)
    probed = {name for name in BUILT_IN if name.startswith("probe_")}
    said = re.findall(r'"(watchroom_[a-z_]+)"', SOURCE)  # by the monitor of itself
    own = {f"{name.removesuffix('_total')}{end}" for name in said for end in ENDS}
    assert set(named) <= known | probed | own | {"invoices_total"}


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(p.name[:4]) for p in (ROOT / "docs/decisions").glob("[0-9]*.md")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_the_two_lines_of_each_target_stand_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        recipe = makefile.split(f"\n{target}:\n")[1].split("\n\n")[0]
        for line in recipe.splitlines():
            assert line.strip().removesuffix(" $(ARGS)") in README


def glossary() -> dict[str, tuple[str, list[str]]]:
    """Return what each term means, and the words that it replaces."""
    rows = re.findall(
        r"(?m)^\| ([^|]+) \| ([^|]+) \| ?([^|]*) ?\|$",
        (ROOT / "docs" / "glossary.md").read_text(),
    )
    terms = [term for term, _, _ in rows[1:]]
    assert terms == sorted(set(terms)), "one entry each, in the alphabet's order"
    return {
        term: (meaning, [word.strip() for word in retired.split(",") if word.strip()])
        for term, meaning, retired in rows[1:]
    }


def test_a_word_of_the_glossary_is_used_and_never_replaces_itself() -> None:
    terms = glossary()
    assert 25 <= len(terms) <= 40
    rest = " ".join(
        prose(path).lower() for path in DOCUMENTS if path.name != "glossary.md"
    )
    for term, (meaning, retired) in terms.items():
        if term not in {"alert message", "console page", "unauthenticated client"}:
            assert term.removesuffix("ed") in rest, f"{term} is used nowhere else"
        assert meaning.strip(), term
        assert term not in retired, term
    linking = [path.name for path in DOCUMENTS if "(glossary.md)" in path.read_text()]
    assert {"architecture.md", "on-call.md"} <= set(linking)
