"""What the console takes from npm: in every wheel, pinned, and missed out loud."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
hatch_build = pytest.importorskip("hatch_build", reason="needs hatchling")
sys.path.remove(str(ROOT))


@pytest.fixture
def tree(tmp_path):
    """Return a working tree as git has it, small: without tests and documents."""
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "frontend", tmp_path / "frontend")
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("vendor", "__*__")
    )
    return tmp_path


def with_assets(tree):
    there = ROOT / hatch_build.INTO
    if not there.is_dir():
        pytest.skip("needs the console's files: python3 tools/setup.py test")
    shutil.copytree(there, tree / hatch_build.INTO)


def test_a_wheel_has_them_and_needs_no_network_when_they_are_there(tree):
    with_assets(tree)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"],
        cwd=tree,
        env={**os.environ, "npm_config_registry": "http://127.0.0.1:1"},
        check=True,
        capture_output=True,
    )
    (wheel,) = (tree / "out").glob("*.whl")
    folder = "watchroom/monitor/console/static/vendor"
    with zipfile.ZipFile(wheel) as packed:
        for name, (_, wanted) in hatch_build.ASSETS.items():
            body = packed.read(f"{folder}/{name}")
            assert hashlib.sha256(body).hexdigest() == wanted


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_without_the_registry_the_build_says_what_is_missing_and_what_to_do(
    tree, monkeypatch
):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tree / "cache"))
    with pytest.raises(hatch_build.AssetError) as caught:
        hatch_build.provide(tree)
    assert "npm could not fetch" in str(caught.value)
    assert "npm config set registry" in str(caught.value)
    assert not (tree / hatch_build.INTO).exists()


def test_another_file_than_the_pinned_one_is_not_taken(tree, monkeypatch):
    def changed(work):
        for source, _ in hatch_build.ASSETS.values():
            path = Path(work) / "node_modules" / source
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("something else")

    monkeypatch.setattr(hatch_build, "_npm_ci", changed)  # no registry serves that
    with pytest.raises(hatch_build.AssetError, match="pins what may go"):
        hatch_build.provide(tree)


def test_nothing_of_it_is_committed():
    done = subprocess.run(
        ["git", "check-ignore", str(hatch_build.INTO / "uPlot.iife.min.js")],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    if done.returncode == 128:
        pytest.skip("not a git working tree")
    assert done.returncode == 0
