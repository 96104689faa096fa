"""The state directory: found, refused where it would be lost, held by one."""

from __future__ import annotations

import stat

import pytest

from watchroom.errors import ConfigError
from watchroom.monitor.state.directory import StorageDir
from watchroom.runtime.state import state_path
from watchroom.runtime.token import from_environment


def test_it_is_where_the_option_systemd_or_xdg_says():
    env = {"STATE_DIRECTORY": "/var/lib/w:/x", "XDG_STATE_HOME": "/xdg", "HOME": "/h"}
    assert str(state_path("/given", "p", env)) == "/given"
    assert str(state_path(None, "p", env)) == "/var/lib/w"
    assert str(state_path(None, "p", {"XDG_STATE_HOME": "/xdg"})) == "/xdg/watchroom/p"
    assert str(state_path(None, "p", {"HOME": "/h"})) == "/h/.local/state/watchroom/p"


def test_inside_the_built_files_is_refused(tmp_path):
    for inside in (tmp_path, tmp_path / "state"):
        with pytest.raises(ConfigError, match="inside the directory of built files"):
            StorageDir(inside, tmp_path)


def test_a_second_monitor_is_refused_by_the_pid_of_the_first(tmp_path):
    files = tmp_path / "files"
    with (
        StorageDir(tmp_path / "state", files),
        pytest.raises(ConfigError, match=r"another monitor \(process \d+\)"),
    ):
        StorageDir(tmp_path / "state", files)
    StorageDir(tmp_path / "state", files).close()


def test_the_token_is_made_once_and_is_its_owners_alone(tmp_path):
    with StorageDir(tmp_path / "state", tmp_path / "files") as storage:
        token, configured = storage.token({})
        assert (len(token) > 30, configured) == (True, False)
        assert storage.token({}) == (token, False)
    path = tmp_path / "state" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_configured_token_is_read_from_the_environment_or_its_file(tmp_path):
    (tmp_path / "t").write_text("0123456789abcdef\n")
    assert (
        from_environment({"WATCHROOM_TOKEN_FILE": str(tmp_path / "t")})
        == "0123456789abcdef"
    )
    assert from_environment({"WATCHROOM_TOKEN": "x" * 16}) == "x" * 16
    assert from_environment({}) == ""


@pytest.mark.parametrize(
    "env", [{"WATCHROOM_TOKEN": "short"}, {"WATCHROOM_TOKEN_FILE": "/nowhere/at/all"}]
)
def test_a_useless_token_is_an_error_that_does_not_show_it(env):
    with pytest.raises(ConfigError) as error:
        from_environment(env)
    assert "short" not in str(error.value)
