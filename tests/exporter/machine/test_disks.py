"""Disk space: real file systems, filled ones, and one that never answers."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from watchroom import conf
from watchroom.exporter.failures import Failures
from watchroom.exporter.machine import disks as disks_module
from watchroom.exporter.machine.disks import MOST_PATHS, Disks, mount_of
from watchroom.exporter.machine.places import places, sqlite_file


def values(disks):
    return {
        (sample.name, dict(sample.labels)["mountpoint"]): sample.value
        for family in disks.families()
        for sample in family.samples
    }


@pytest.fixture
def tmpfs(tmp_path):
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    point = tmp_path / "small fs"
    point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(point)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("needs root that may mount a tmpfs")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_file_system_tells_its_room_under_its_mount_point(tmp_path):
    found = values(Disks([tmp_path], Failures()))
    stat = os.statvfs(tmp_path)
    point = mount_of(str(tmp_path)).mountpoint
    size = found["node_filesystem_size_bytes", point]
    assert size == stat.f_blocks * stat.f_frsize
    assert 0 <= found["node_filesystem_avail_bytes", point] <= size
    assert found["node_filesystem_readonly", point] == 0
    assert found["node_filesystem_device_error", point] == 0


def test_a_full_file_system_has_no_room_at_all_and_says_so(tmpfs):
    disks = Disks([tmpfs / "uploads" / "not made yet"], Failures())
    assert values(disks)["node_filesystem_avail_bytes", str(tmpfs)] == 1 << 20
    with pytest.raises(OSError, match="No space"), (tmpfs / "big").open("wb") as big:  # noqa: PT012 - written until it is full
        while True:
            big.write(bytes(4096))
            big.flush()
    assert values(disks)["node_filesystem_avail_bytes", str(tmpfs)] == 0
    (tmpfs / "big").unlink()
    assert values(disks)["node_filesystem_avail_bytes", str(tmpfs)] == 1 << 20


def test_a_file_system_counts_once_however_many_paths_it_has(tmp_path):
    (tmp_path / "a").mkdir()
    disks = Disks([tmp_path, tmp_path / "a", tmp_path / "b"], Failures())
    assert len([key for key in values(disks) if "size" in key[0]]) == 1


@pytest.fixture
def overlay(tmp_path):
    """An overlayfs whose file lies in the lower layer, its directories in neither."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount an overlayfs")
    low, up, point = (tmp_path / name for name in ("low", "up", "merged"))
    mounted = []

    def mount(kind, where, *options):
        done = subprocess.run(
            ["mount", "-t", kind, *options, kind, str(where)],
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            mounted.append(where)
        return done.returncode == 0

    for each in (low, up, point):
        each.mkdir()
    good = mount("tmpfs", low) and mount("tmpfs", up)
    if good:
        (low / "db.sqlite3").write_text("db")
        (up / "u").mkdir()
        (up / "w").mkdir()
        layers = f"lowerdir={low},upperdir={up}/u,workdir={up}/w"
        good = mount("overlay", point, "-o", layers)
    yield point if good else None
    for each in reversed(mounted):
        subprocess.run(["umount", str(each)], check=True)


def test_an_overlay_of_two_file_systems_is_one_series_of_each_metric(overlay):
    if overlay is None:
        pytest.skip("needs root that may mount an overlayfs")
    file = overlay / "db.sqlite3"
    assert file.stat().st_dev != overlay.stat().st_dev  # what told them apart before
    found = [
        (sample.name, sample.labels)
        for family in Disks([overlay, file, overlay / "u"], Failures()).families()
        for sample in family.samples
    ]
    assert len(found) == len(set(found)) == 4


def test_one_that_never_answers_delays_no_scrape_and_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(disks_module, "HANGS_AFTER", 0.3)  # not ten seconds
    released = threading.Event()
    asked = []

    def statvfs(path):
        if path.name == "dead":
            asked.append(path)
            released.wait(30)
        return os.statvfs(path)

    (tmp_path / "dead").mkdir()
    failures = Failures()
    disks = Disks([tmp_path / "dead", tmp_path], failures, statvfs)
    point = mount_of(str(tmp_path)).mountpoint
    try:
        began = time.monotonic()
        first = values(disks)
        assert time.monotonic() - began < 5  # not thirty
        assert first["node_filesystem_avail_bytes", point] > 0
        end = time.monotonic() + 10
        while values(disks)["node_filesystem_device_error", point] != 1:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(asked) == 1  # and no second thread hangs after the first
        (sample,) = failures.family().samples
        assert sample.labels == (("part", "disks"),)
        assert sample.value >= 1
    finally:
        released.set()
    end = time.monotonic() + 10
    while values(disks)["node_filesystem_device_error", point] != 0:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_error_is_reported_and_not_raised(tmp_path):
    def statvfs(path):
        raise OSError(5, "Input/output error", str(path))

    disks = Disks([tmp_path], Failures(), statvfs)
    point = mount_of(str(tmp_path)).mountpoint
    assert values(disks) == {("node_filesystem_device_error", point): 1}


def test_paths_are_bounded(tmp_path):
    failures = Failures()
    Disks([tmp_path / str(number) for number in range(MOST_PATHS + 2)], failures)
    assert failures.family().samples[0].value == 2


def test_mounts_with_blanks_in_their_names_are_found(tmpfs):
    mount = mount_of(str(tmpfs / "x"))
    assert mount == (str(tmpfs), "tmpfs", "tmpfs")


class Project:
    BASE_DIR = Path("/srv/shop")
    MEDIA_ROOT = "/srv/media"
    STATIC_ROOT = None
    FILE_UPLOAD_TEMP_DIR = ""
    DATABASES = {  # noqa: RUF012 - as in a settings module
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path("/data/shop.db"),
        },
        "memory": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
        "other": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"},
    }
    CACHES = {  # noqa: RUF012 - as in a settings module
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": "/var/tmp/cache",
        }
    }
    LOGGING = {  # noqa: RUF012 - as in a settings module
        "handlers": {"file": {"filename": "/var/log/shop/app.log"}, "console": {}}
    }


def test_the_places_of_a_project_come_from_its_settings(tmp_path):
    settings = conf.load({"DISKS": ["/backup"], "RUNTIME_DIR": str(tmp_path)}, {})
    found = [str(path) for path in places(Project(), settings)]
    for place in ("/srv/shop", "/srv/media", "/data", "/var/tmp/cache"):
        assert place in found
    assert {"/var/log/shop", "/backup", str(tmp_path)} <= set(found)
    assert "shop" not in found
    assert list(places(object(), settings))  # a project that says nothing


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("/a/b.db", "/a/b.db"),
        ("file:/a/b%20c.db?mode=ro", "/a/b c.db"),
        ("file:x?mode=memory&cache=shared", None),
        (":memory:", None),
        ("", None),
        (None, None),
    ],
)
def test_the_file_of_a_sqlite_database(name, file):
    assert sqlite_file(name) == (file and Path(file))
