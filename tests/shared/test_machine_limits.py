"""The share of a machine that a container or a control group may use. The files are those that Linux shows."""

import os

import pytest

from stages.shared import machine_limits, provenance

GIB = 2**30


@pytest.fixture
def linux(tmp_path, monkeypatch):
    """Write what /proc/self/cgroup and the files of /sys/fs/cgroup hold; the machine has 8 cores."""
    monkeypatch.setattr(machine_limits, "GROUPS_ROOT", tmp_path / "groups")
    monkeypatch.setattr(machine_limits, "PROCESS_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def write(groups, files):
        (tmp_path / "cgroup").write_text(groups)
        for name, content in files.items():
            file = tmp_path / "groups" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    return write


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "765000 100000\n"}, 7),  # an eighth process would be stopped again and again
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "1600000 100000\n"}, 8),
        ("0::/user.slice/run.scope\n", {"user.slice/run.scope/cpu.max": "300000 100000\n"}, 3),
        ("0::/user.slice/run.scope\n", {"user.slice/cpu.max": "300000 100000\n"}, 3),
        ("0::/docker/3f2a\n", {"cpu.max": "400000 100000\n"}, 4),  # the container's own group is its root
        ("4:cpu,cpuacct:/\n", {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 8),
        (
            "4:cpu,cpuacct:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("1:cpu:/docker/3f2a\n", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "50000"}, 5),
    ],
)
def test_no_more_cores_are_used_than_the_quota_of_any_group_around_the_process(linux, groups, files, cores):
    linux(groups, files)
    assert machine_limits.available_cores() == cores
    assert provenance.machine()["cores"] == cores


@pytest.mark.parametrize(
    ("groups", "files", "memory"),
    [
        ("0::/\n", {"memory.max": f"{GIB}\n"}, GIB),
        ("0::/a/b\n", {"a/memory.max": f"{GIB}\n", "a/b/memory.max": "max\n"}, GIB),
        (
            "8:memory:/a\n",
            {"memory/a/memory.limit_in_bytes": f"{GIB}\n", "memory/memory.limit_in_bytes": f"{2**63}"},
            GIB,
        ),
    ],
)
def test_the_memory_is_that_of_the_smallest_group_around_the_process(linux, groups, files, memory):
    linux(groups, files)
    assert machine_limits.memory_bytes() == memory


def test_a_system_without_control_groups_or_affinity_has_the_cores_that_it_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_limits, "PROCESS_GROUPS", tmp_path / "none")
    monkeypatch.setattr(machine_limits, "GROUPS_ROOT", tmp_path / "none")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert machine_limits.available_cores() == 6
