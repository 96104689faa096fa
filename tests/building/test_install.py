"""What `make dist` builds can be installed, and moves no Django that is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from watchroom.monitor import console

ROOT = Path(__file__).parents[2]
VENDOR = "watchroom/monitor/console/static/vendor/uPlot.iife.min.js"
RUNBOOKS = "watchroom/catalogue/standard/http/vitals.md"

pytestmark = pytest.mark.slow


# Nothing of this working tree.
CLEAN = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run(*words, **more):
    done = subprocess.run(
        words,
        env=CLEAN,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **more,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build sdist and wheel as the Makefile does."""
    if not (Path(console.__file__).parent / "static" / "vendor").is_dir():
        pytest.skip("needs the console's files: python3 tools/setup.py test")
    lines = (ROOT / "Makefile").read_text().split("\ndist:\n")[1].splitlines()
    (line,) = [one.split() for one in lines[:2] if "hatchling" in one]
    out = tmp_path_factory.mktemp("dist")
    words = [str(out) if word == "dist" else word for word in line[1:]]
    run(sys.executable, *words, cwd=ROOT)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_both_carry_the_consoles_files_and_the_sdist_what_builds_it(built):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        assert VENDOR in names
        assert RUNBOOKS in names
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        needs = packed.read(metadata).decode().split("\n\n")[0]
    # An upper bound would move a project with a newer Django back.
    assert re.findall(r"(?mi)^Requires-Dist: (django.*)$", needs) == ["django>=5.2"]
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {f"src/{VENDOR}", "hatch_build.py", "frontend/package.json"} <= names
    assert not {name for name in names if name.startswith((".venv", ".matrix"))}


def test_the_wheel_installs_beside_the_django_that_is_there(built, tmp_path):
    wheel, _ = built
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", str(home))
    python = str(home / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "-q")
    run(*pip, "Django==5.2.*")
    before = run(python, "-m", "django", "--version")
    run(*pip, str(wheel))
    assert run(python, "-m", "django", "--version") == before

    (tmp_path / "empty").mkdir()
    said = run(python, "-c", "import watchroom; print(watchroom.__file__)", cwd=home)
    assert said.startswith(str(home))
    watchroom = str(home / "bin" / "watchroom")
    assert "exporter" in run(watchroom, "--help", cwd=home)
    done = subprocess.run(
        [watchroom, "run", str(tmp_path / "empty")],
        capture_output=True,
        text=True,
        check=False,
        env=CLEAN,
    )
    assert done.returncode == 2
    assert "pip install 'watchroom[monitor]'" in done.stderr
