"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from watchroom.cli import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_named_exists_with_its_options(path: Path) -> None:
    from importlib import import_module

    blocks = "\n".join(re.findall(r"(?ms)^```\w*\n(.*?)^```", path.read_text()))
    for name, rest in re.findall(r"(?m)^watchroom (\w+)(.*)$", blocks):
        assert name in COMMANDS, f"{path.name}: watchroom {name}"
        command = getattr(import_module(f"watchroom.cli.{COMMANDS[name][0]}"), name)
        known = {option for param in command.params for option in param.opts}
        known |= {option for param in command.params for option in param.secondary_opts}
        for option in re.findall(r"(--[\w.-]+)", rest):
            assert option in known, f"{path.name}: watchroom {name} {option}"


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


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(p.name[:4]) for p in (ROOT / "docs/decisions").glob("[0-9]*.md")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_the_two_lines_of_each_target_stand_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        recipe = makefile.split(f"\n{target}:\n")[1].split("\n\n")[0]
        for line in recipe.splitlines():
            assert line.strip().removesuffix(" $(ARGS)") in README
