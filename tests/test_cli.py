from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from watchroom.cli import COMMANDS, watchroom
from watchroom.errors import ConfigError, MissingExtraError


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_has_help_with_examples(command: str) -> None:
    result = CliRunner().invoke(watchroom, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Examples:" in result.output
    assert f"watchroom {command}" in result.output
    assert "Exit codes" in result.output


def test_help_names_every_command_and_imports_none() -> None:
    program = (
        "import sys; from watchroom.cli import watchroom\n"
        "try: watchroom(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'yaml', 'django', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("[]")
    assert all(f"  {command} " in done.stdout for command in COMMANDS)


def test_an_unknown_command_exits_with_2() -> None:
    assert CliRunner().invoke(watchroom, ["watch"]).exit_code == 2


def test_bad_input_is_one_line_on_stderr_and_exit_code_2(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "watchroom", "drill", "X", "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "watchroom.json: cannot be read" in done.stderr
    assert "watchroom build DIR" in done.stderr


def test_a_missing_extra_is_named_with_its_remedy() -> None:
    error = MissingExtraError("run", "monitor", "numpy")
    assert "pip install 'watchroom[monitor]'" in str(error)


def test_a_config_error_says_where_what_and_what_to_do() -> None:
    error = ConfigError("bad", file="a.yml", line=3, field="route", hint="mend it")
    assert str(error) == "a.yml:3: route: bad (mend it)"
    assert str(ConfigError("bad")) == "bad"
    assert str(ConfigError("bad", file="a.yml")) == "a.yml: bad"
