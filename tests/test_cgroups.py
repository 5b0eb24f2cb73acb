"""What a container leaves to a run: the smallest limit of the process's group and of the groups around it."""

from pathlib import Path

import pytest
import torch

from clipgen.engine import cgroups
from clipgen.engine.memory import room

LIMIT, USED = 1_500_000_000, 300_000_000
FREE = int((1 - cgroups.MARGIN) * LIMIT) - USED
UNLIMITED = 9223372036854771712
"""What version 1 says where nothing is limited."""
V2 = ("memory.max", "memory.current")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")

Group = tuple[str, tuple[str, str], object]

# The lines of /proc/self/cgroup, and groups: folder, names of its files, limit.
CONTAINERS: dict[str, tuple[str, list[Group]]] = {
    "version 2": ("0::/", [(".", V2, LIMIT)]),
    "version 2, nested": ("0::/user.slice/run.scope", [("user.slice/run.scope", V2, LIMIT)]),
    "version 2, the limit further out": ("0::/a/b/c", [("a/b/c", V2, "max"), ("a/b", V2, 4 * LIMIT), ("a", V2, LIMIT)]),
    "version 2, the smallest inside": ("0::/a/b", [("a/b", V2, LIMIT), ("a", V2, 4 * LIMIT), (".", V2, "max")]),
    "version 2, throttled": ("0::/a", [("a", ("memory.high", "memory.current"), LIMIT)]),
    "version 2, named from outside": ("0::/docker/0123", [(".", V2, LIMIT)]),
    "version 2, in another namespace": ("0::/../../other", [(".", V2, LIMIT)]),
    "version 1": ("5:cpu,cpuacct:/a\n4:memory:/\n0::/", [("memory", V1, LIMIT)]),
    "version 1, nested": ("4:memory:/docker/1", [("memory/docker/1", V1, LIMIT), ("memory", V1, UNLIMITED)]),
    "version 1, the limit further out": ("4:memory:/a/b", [("memory/a/b", V1, UNLIMITED), ("memory/a", V1, LIMIT)]),
    "version 1, named from outside": ("4:memory:/docker/0123", [("memory", V1, LIMIT)]),
    "version 1, a colon in the name": ("4:memory:/a:b", [("memory/a:b", V1, LIMIT)]),
    "version 1, of two controllers": ("4:hugetlb,memory:/", [("memory", V1, LIMIT)]),
}


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str, groups: list[Group]) -> None:
    (folder / "membership").write_text(lines + "\n")
    for place, (limit_file, used_file), limit in groups:
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / limit_file).write_text(f"{limit}\n")
        (folder / place / used_file).write_text(f"{USED}\n")
    monkeypatch.setattr(cgroups, "MEMBERSHIP", folder / "membership")
    monkeypatch.setattr(cgroups, "MOUNT", folder)


@pytest.mark.parametrize("case", CONTAINERS)
def test_the_limit_is_found_in_a_container_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    machine(tmp_path, monkeypatch, *CONTAINERS[case])
    assert cgroups.free_in_groups() == FREE
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("", (), {"available": 64 * LIMIT}))
    assert room(torch.device("cpu")) <= FREE


@pytest.mark.parametrize("lines", ["0::/", "4:memory:/", "4:memory:/a\n0::/a", "1:cpu:/", "", "nonsense"])
def test_without_a_limit_the_machine_is_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    machine(tmp_path, monkeypatch, lines, [("a", V2, "max")])
    assert cgroups.free_in_groups() is None
    (tmp_path / "membership").unlink()
    assert cgroups.free_in_groups() is None


@pytest.mark.parametrize("line", ["total_inactive_file 100000000", "inactive_file 100000000"])
def test_files_that_the_kernel_would_drop_are_free_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    machine(tmp_path, monkeypatch, "0::/", [(".", V2, LIMIT)])
    (tmp_path / "memory.stat").write_text(f"anon 1\n{line}\nactive_file 5\n")
    assert cgroups.free_in_groups() == FREE + 100_000_000


def test_a_full_container_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, "0::/", [(".", V2, USED)])
    assert cgroups.free_in_groups() == 0
