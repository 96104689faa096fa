"""docs/systemd and docs/deploy.md: systemd takes the units; what they start works."""

from __future__ import annotations

import configparser
import getpass
import grp
import os
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support import documents
from tests.support.ports import free_port
from tests.support.servers import get_json
from tests.support.waiting import until

UNITS = documents.ROOT / "docs" / "systemd"
DEPLOY = documents.ROOT / "docs" / "deploy.md"
WATCHROOM = Path(sys.executable).with_name("watchroom")
SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).parents[1]
SECRET_KEY = "for tests"
INSTALLED_APPS = ["watchroom"]
SQLITE = "django.db.backends.sqlite3"
DATABASES = {"default": {"ENGINE": SQLITE, "NAME": BASE_DIR / "db"}}
RECEIVERS = {"ops": {"secret": "ops_webhook"}}
WATCHROOM = {"EXPORTER": "127.0.0.1:%d", "RECEIVERS": RECEIVERS}
"""

needs_systemd = pytest.mark.skipif(
    not (shutil.which("systemd-analyze") and shutil.which("systemd-tmpfiles")),
    reason="needs systemd's tools",
)


def unit(name):
    """Return the [Service] section of a unit."""
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str
    found.read(UNITS / name)
    return found["Service"]


@needs_systemd
@pytest.mark.parametrize("every_comment", [False, True], ids=["as it is", "all of it"])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path, every_comment):
    paths = []
    for path in UNITS.glob("*.service"):
        text = path.read_text().replace("/srv/shop/.venv/bin/watchroom", sys.executable)
        if every_comment:
            text = re.sub(r"(?m)^#(?=[A-Z][A-Za-z]+=)", "", text)
            assert "\nLoadCredential=" in text
        (tmp_path / path.name).write_text(text)
        paths.append(str(tmp_path / path.name))
    assert len(paths) == 2
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    # Of what it does not know it only warns.
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_no_hardening_blinds_the_exporter():
    service = unit("watchroom-exporter.service")
    # statvfs says of a mount that is read-only here that it is; DiskSpaceLow leaves
    # those out. /proc must show the app, and the runtime directory's mode be set.
    assert service["ProtectSystem"] == "yes"
    blinding = (
        "ProtectHome ReadOnlyPaths ProtectProc ProcSubset PrivateUsers PrivatePIDs"
    )
    for name in (*blinding.split(), "RestrictSUIDSGID", "PrivateNetwork", "PrivateTmp"):
        assert name not in service
    monitor = unit("watchroom-monitor.service")
    assert monitor["StateDirectory"] == "watchroom/shop"  # which deploy.md backs up
    assert {service["Restart"], monitor["Restart"]} == {"always"}


def test_no_unit_takes_the_apps_memory_or_runs_out_of_descriptors():
    for name in ("watchroom-exporter.service", "watchroom-monitor.service"):
        service = unit(name)
        # Of the machine's, whatever that has: the kernel ends the unit, not the app.
        assert service["MemoryMax"] in {"25%", "50%"}
        assert int(service["LimitNOFILE"]) >= 65_536
    # Which protects it from others only while its own memory is bounded.
    assert int(service["OOMScoreAdjust"]) < 0


@pytest.fixture
def host(tmp_path):
    """A machine with the project in srv/shop, and the paths of the units on it."""
    shop = tmp_path / "srv" / "shop"
    (shop / "shop").mkdir(parents=True)
    ports = free_port(), free_port()
    (shop / "shop" / "settings.py").write_text(SETTINGS % ports[0])
    (shop / "shop" / "__init__.py").touch()
    (shop / "manage.py").touch()
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("WATCH", "DJANGO"))
    }
    state = tmp_path / "var" / "lib" / "watchroom" / "shop"
    environ = {
        **kept,
        "WATCHROOM_RUNTIME_DIR": str(tmp_path / "run" / "watchroom" / "shop"),
        "STATE_DIRECTORY": str(state),
    }

    def words(line):
        for said, meant in (
            ("/srv/shop/.venv/bin/watchroom", str(WATCHROOM)),
            ("/srv/shop", str(shop)),
            ("127.0.0.1:9700", f"127.0.0.1:{ports[1]}"),
            ("/run/", f"{tmp_path}/run/"),
        ):
            line = line.replace(said, meant)
        return shlex.split(line)

    def do(line):
        done = subprocess.run(
            words(line), cwd=shop, env=environ, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    (tmp_path / "run" / "watchroom").mkdir(parents=True)
    return SimpleNamespace(
        root=tmp_path, shop=shop, state=state, ports=ports, environ=environ,
        words=words, do=do,
    )  # fmt: skip


def make_runtime_directory(host):
    """Do what systemd-tmpfiles does at boot, as this user."""
    mine = f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"
    text = (UNITS / "watchroom.tmpfiles.conf").read_text()
    (host.root / "shop.conf").write_text(
        text.replace("/run/", f"{host.root}/run/").replace("shop shop", mine)
    )
    subprocess.run(
        ["systemd-tmpfiles", "--create", host.root / "shop.conf"], check=True
    )
    made = (host.root / "run" / "watchroom" / "shop").stat()
    assert stat.S_IMODE(made.st_mode) == 0o2770


def link_the_secret(host):
    """Keep the receiver's secret where LoadCredential puts it."""
    (line,) = [words for words in documents.commands(DEPLOY) if words[0] == "ln"]
    line = host.words(shlex.join(line))
    source = Path(line[2])
    source.parent.mkdir(parents=True)
    source.write_text("http://127.0.0.1:1/hook")
    subprocess.run(line, check=True)


@needs_systemd
def test_what_the_units_start_answers_reloads_and_ends(host):
    make_runtime_directory(host)
    (line,) = [words for words in documents.commands(DEPLOY) if "build" in words]
    host.do(shlex.join([str(WATCHROOM), *line[1:]]))
    link_the_secret(host)
    exporter, monitor = (
        unit("watchroom-exporter.service"),
        unit("watchroom-monitor.service"),
    )
    started = [
        host.words(exporter["ExecStart"]),
        [*host.words(monitor["ExecStart"]), "--listen", f"127.0.0.1:{host.ports[1]}"],
    ]
    log = host.root / "log"
    with log.open("w") as out:
        children = [
            subprocess.Popen(
                words, cwd=host.shop, env=host.environ, stdout=out, stderr=out
            )
            for words in started
        ]
    try:
        api = f"http://127.0.0.1:{host.ports[1]}/api/v1"
        seen = f"{api}/query?query=watchroom_exporter_info"
        (series,) = until(lambda: get_json(seen)["data"]["result"], 30)
        assert series["value"][1] == "1"
        assert "reload" in host.do(monitor["ExecReload"])
        assert stat.S_IMODE((host.state / "token").stat().st_mode) == 0o600
        back_up(host)
    finally:
        for child in children:
            child.terminate()
        ends = [child.wait(30) for child in children]
    assert ends == [0, 0], log.read_text()
    assert "cannot be read" not in log.read_text()  # the secret behind the link


def back_up(host):
    """Run the document's backup, and look into the copy."""
    (line,) = [words for words in documents.commands(DEPLOY) if words[0] == "sqlite3"]
    copy = host.root / "copy.db"
    # The first evaluation writes them, up to an interval after the first scrape.
    until(lambda: rules_in(host.state / "state.db"), 30)
    statement = re.sub("'.*'", f"'{copy}'", line[2])
    assert Path(line[1]).relative_to("/var/lib/watchroom/shop") == Path("state.db")
    db = sqlite3.connect(host.state / "state.db")
    db.execute(statement)
    db.close()
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert rules_in(copy) > 0


def rules_in(path):
    """Return how many rules a state database keeps the state of."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT count(*) FROM rule").fetchone()[0]
