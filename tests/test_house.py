"""The way in: what CONTRIBUTING, the maps and the lists name is there."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUPPORT = ROOT / "tests" / "support"


def test_the_map_of_support_lists_each_module_once():
    listed = re.findall(r"`(\w+\.(?:py|js))`[,:]", (SUPPORT / "README.md").read_text())
    there = {
        path.name
        for path in SUPPORT.iterdir()
        if path.suffix in {".py", ".js"} and path.name != "__init__.py"
    }
    assert sorted(listed) == sorted(there)


def test_each_module_with_known_seconds_exists():
    """A renamed one would count as quick: `make seconds` brings the list up to date."""
    listed = json.loads((ROOT / "tests" / "seconds.json").read_text())
    assert not [name for name in listed if not (ROOT / name).is_file()]


def test_contributing_has_each_target_of_the_tests():
    targets = set(re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"`make (\w+)`", (ROOT / "CONTRIBUTING.md").read_text()))
    assert named <= targets
    assert named >= {"fast", "lint", "fix", "test", "matrix", "seconds"}


def test_hooks_before_a_commit_need_no_network():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}
