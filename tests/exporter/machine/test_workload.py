"""Memory and CPU of the app: from trees of control groups, and of real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from watchroom.exporter.machine.cgroup import Cgroups, Use
from watchroom.exporter.machine.workload import LiveProcess, Workload
from watchroom.exporter.processes.merge import Merger
from watchroom.runtime.slots import ProcessFile

MIB = 1 << 20
MACHINE = 8192 * MIB
ID = "0123456789abcdef" * 4


@pytest.fixture
def tree(tmp_path):
    """Return a function that writes files below a directory of its own."""

    def write(cgroup, files):
        proc, mount = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "42").mkdir(parents=True, exist_ok=True)
        (proc / "42" / "cgroup").write_text(cgroup)
        (proc / "meminfo").write_text(
            f"MemTotal: {MACHINE // 1024} kB\nMemFree: 1 kB\n"
        )
        for path, text in files.items():
            (mount / path).parent.mkdir(parents=True, exist_ok=True)
            (mount / path).write_text(f"{text}\n")
        return Cgroups(proc, mount)

    return write


def v2(path, used, limit, inactive=0, cpu="max 100000"):
    return {
        f"{path}/memory.current": used,
        f"{path}/memory.max": limit,
        f"{path}/memory.stat": f"anon 5\ninactive_file {inactive}\nactive_file 7",
        f"{path}/cpu.stat": "usage_usec 2500000\nuser_usec 1",
        f"{path}/cpu.max": cpu,
    }


def test_a_service_of_systemd_under_cgroup_v2(tree):
    path = "system.slice/shop.service"
    files = v2(path, 300 * MIB, 512 * MIB, 40 * MIB, "150000 100000")
    found = tree(f"0::/{path}\n", files).of(42)
    assert found == Use("shop.service", 260 * MIB, 512 * MIB, 2.5, 1.5)


def test_a_container_sees_its_own_group_as_the_root(tree):
    files = v2(".", 300 * MIB, 512 * MIB)
    expected = Use("container", 300 * MIB, 512 * MIB, 2.5, None)
    assert tree("0::/\n", files).of(42) == expected
    # ... and what lies outside of its namespace as a way up.
    assert tree("0::/../../elsewhere\n", files).of(42)[1:] == expected[1:]


@pytest.mark.parametrize("limit", ["max", MACHINE, 2 * MACHINE])
def test_no_limit_or_more_than_the_machine_is_no_limit(tree, limit):
    found = tree("0::/a\n", v2("a", 300 * MIB, limit)).of(42)
    assert (found.working_set, found.limit) == (300 * MIB, None)


def test_the_fullest_level_counts_when_a_group_above_is_limited(tree):
    files = v2("pod", 900 * MIB, 1000 * MIB, cpu="50000 100000")
    files |= v2("pod/web", 200 * MIB, 500 * MIB, cpu="200000 100000")
    found = tree("0::/pod/web\n", files).of(42)
    assert found == Use("web", 900 * MIB, 1000 * MIB, 2.5, 0.5)
    files = v2("pod", 300 * MIB, 1000 * MIB) | v2("pod/web", 200 * MIB, 250 * MIB)
    assert tree("0::/pod/web\n", files).of(42)[1:3] == (200 * MIB, 250 * MIB)


def v1(path, used, limit, above=None):
    stat = f"cache 1\ntotal_inactive_file {10 * MIB}"
    if above:
        stat += f"\nhierarchical_memory_limit {above}"
    return {
        f"memory/{path}/memory.usage_in_bytes": used,
        f"memory/{path}/memory.limit_in_bytes": limit,
        f"memory/{path}/memory.stat": stat,
        f"cpu,cpuacct/{path}/cpuacct.usage": 3_000_000_000,
        f"cpu,cpuacct/{path}/cpu.cfs_quota_us": 50_000,
        f"cpu,cpuacct/{path}/cpu.cfs_period_us": 100_000,
    }


V1 = f"9:memory:/docker/{ID}\n4:cpu,cpuacct:/docker/{ID}\n1:name=systemd:/x\n0::/x\n"


def test_cgroup_v1_and_hybrid(tree):
    files = v1(f"docker/{ID}", 300 * MIB, 512 * MIB)
    expected = Use(ID[:12], 290 * MIB, 512 * MIB, 3.0, 0.5)
    assert tree(V1, files | {"unified/x/cgroup.procs": ""}).of(42) == expected


def test_a_container_of_cgroup_v1_sees_its_own_group_as_the_root(tree):
    found = tree(V1, v1(".", 300 * MIB, 512 * MIB)).of(42)
    assert found == Use(ID[:12], 290 * MIB, 512 * MIB, 3.0, 0.5)


def test_v1_says_no_limit_as_a_huge_number_and_tells_of_limits_above(tree):
    huge = 9223372036854771712
    path = f"docker/{ID}"
    assert tree(V1, v1(path, 300 * MIB, huge)).of(42).limit is None
    assert tree(V1, v1(path, 300 * MIB, huge, 400 * MIB)).of(42).limit == 400 * MIB


def test_without_control_groups_there_is_nothing_to_say(tree, tmp_path):
    assert tree("0::/\n", {"cgroup.procs": ""}).of(42) is None  # a machine's root
    assert tree("", {}).of(42) is None
    assert Cgroups(tmp_path / "no", tmp_path / "no").of(42) is None


def values(workload):
    return {
        (sample.name, *(value for _, value in sample.labels)): sample.value
        for family in workload.families()
        for sample in family.samples
    }


def test_a_use_near_its_limit_is_what_a_scrape_tells(tree, tmp_path):
    path = "system.slice/shop.service"
    stat = f"42 (a b) c) S 1 {' '.join(['0'] * 9)} 150 50 0 0 20 0 1 0 777 0 1000"
    tree(f"0::/{path}\n", v2(path, 450 * MIB, 512 * MIB))
    (tmp_path / "proc" / "42" / "stat").write_text(stat)
    workload = Workload(
        lambda: [LiveProcess(42, "web"), LiveProcess(43, "web")],
        tmp_path / "proc",
        tmp_path / "cgroup",
    )
    found = values(workload)
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert found == {
        ("container_memory_working_set_bytes", "shop.service"): 450 * MIB,
        ("container_spec_memory_limit_bytes", "shop.service"): 512 * MIB,
        ("container_cpu_usage_seconds_total", "shop.service"): 2.5,
        ("process_resident_memory_bytes", "web"): 1000 * page,
        ("watchroom_process_resident_memory_max_bytes", "web"): 1000 * page,
        ("process_cpu_seconds_total", "web"): 200 / ticks,
    }


@pytest.mark.parametrize(
    ("cgroup", "files", "told"),
    [
        ("0::/a\n", v2("a", 300 * MIB, 512 * MIB), False),
        ("0::/a\n", v2("a", 300 * MIB, "max"), True),
        ("0::/a\n", v2("a", 300 * MIB, MACHINE), True),
        ("", {}, True),
    ],
    ids=["a limit", "none", "the machine itself", "no groups"],
)
def test_without_a_limit_the_machine_is_what_memory_runs_out_of(
    tree, tmp_path, cgroup, files, told
):
    tree(cgroup, files)
    proc = tmp_path / "proc"
    (proc / "meminfo").write_text(
        f"MemTotal:       {MACHINE // 1024} kB\nMemFree: 9 kB\nMemAvailable: 4096 kB\n"
    )
    (proc / "42" / "stat").write_text(f"42 (shop) S 1 {'0 ' * 19}1000 0\n")

    def machine(live):
        found = values(Workload(lambda: live, proc, tmp_path / "cgroup"))
        return {key: each for key, each in found.items() if "node_memory" in key[0]}

    assert machine([LiveProcess(42, "web")]) == (
        {
            ("node_memory_MemTotal_bytes", "machine"): MACHINE,
            ("node_memory_MemAvailable_bytes", "machine"): 4 * MIB,
        }
        if told
        else {}
    )
    # Nobody lives whose limit could be looked up.
    assert machine([]) == {}


BUSY = """
import os, sys, time
from pathlib import Path
from watchroom.runtime.slots import ProcessFile
ballast = bytearray(32 << 20)
mine = ProcessFile(Path(sys.argv[1]), "shop", sys.argv[2], time.time())
mine.publish()
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("ready", flush=True)
sys.stdin.read()
"""


def test_every_worker_counts_and_the_dead_keep_their_cpu(tmp_path):
    merger = Merger(tmp_path, "shop")
    workload = Workload(merger.live)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY, str(tmp_path), role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for role in ("web", "web", "worker")
    ]
    try:
        for one in running:
            assert one.stdout.readline() == b"ready\n"
        merger.render()
        before = values(workload)
        memory = before["process_resident_memory_bytes", "web"]
        largest = before["watchroom_process_resident_memory_max_bytes", "web"]
        assert 64 * MIB < memory < 400 * MIB
        assert 32 * MIB < largest < memory
        assert before["process_cpu_seconds_total", "web"] >= 0.6
        assert before["process_cpu_seconds_total", "worker"] >= 0.3
        running[0].send_signal(signal.SIGKILL)
        running[0].wait(10)
        end = time.monotonic() + 10
        while len(merger.live()) == 3:
            assert time.monotonic() < end
            merger.render()
        after = values(workload)
    finally:
        for one in running:
            one.kill()
            one.communicate()
        merger.close()
    assert after["process_resident_memory_bytes", "web"] < memory
    assert (
        after["process_cpu_seconds_total", "web"]
        >= before["process_cpu_seconds_total", "web"]
    )


def test_pids_of_another_namespace_are_not_looked_up(tmp_path, monkeypatch):
    monkeypatch.setattr(  # a real one needs root
        "watchroom.runtime.slots.pid_namespace", lambda: 12345
    )  # needs root
    mine = ProcessFile(tmp_path, "shop", "web", time.time())
    mine.publish()
    merger = Merger(tmp_path, "shop")
    try:
        assert 'watchroom_processes{role="web"} 1\n' in merger.render()
        assert merger.live() == []
    finally:
        merger.close()
        mine.close()


def test_this_machines_own_groups_can_be_read():
    found = Cgroups().of("self")
    if found is None:
        pytest.skip("this process is in no control group with memory")
    assert found.working_set > MIB
    assert found.limit is None or found.limit > 0


@pytest.fixture
def limited_group():
    """Directories of a group of the kernel's own v1 tree: 64 MiB, half a core."""
    name = f"watchroom-test-{os.getpid()}"
    limits = {
        "memory": ("memory.limit_in_bytes", 64 * MIB),
        "cpu": ("cpu.cfs_quota_us", 50_000),
        "cpuacct": ("cgroup.procs", ""),
    }
    made = []
    try:
        for controller, (file, value) in limits.items():
            group = Path("/sys/fs/cgroup", controller, name)
            try:
                group.mkdir()
                made.append(group)
                if value:
                    (group / file).write_text(str(value))
            except OSError as error:
                pytest.skip(f"needs root and a tree of cgroup v1: {error}")
        yield made
    finally:
        for group in made:
            group.rmdir()


def test_a_limited_group_of_the_kernels_own_v1_tree(limited_group):
    program = "ballast = bytearray(32 << 20); print('ready', flush=True); input()"
    enter = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in limited_group)
    with subprocess.Popen(
        ["sh", "-c", f'{enter}; exec "$0" -c "$1"', sys.executable, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        found = Cgroups().of(process.pid)
        process.communicate(b"\n")
    assert found.name == limited_group[0].name
    assert (found.limit, found.cpu_limit) == (64 * MIB, 0.5)
    assert 32 * MIB < found.working_set < 64 * MIB
    assert 0 < found.cpu_seconds < 5
