"""The memory that Linux's control groups leave to this process: the limits on containers, of versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MEMBERSHIP = Path("/proc/self/cgroup")
"""Says in which group of each hierarchy this process is."""
MOUNT = Path("/sys/fs/cgroup")
MARGIN = 0.05
"""Part of a limit that stays free: the kernel kills whoever reaches the limit."""


def free_in_groups() -> int | None:
    """Return the bytes that are free in the process's group and in all groups around it; None without a limit."""
    free = [room for folder in _groups() if (room := _free_in(folder)) is not None]
    return max(min(free), 0) if free else None


def _groups() -> Iterator[Path]:
    """Yield the folders of the process's groups that count memory, from its own up to the root of each hierarchy.

    Inside a container the hierarchy may be mounted from the container's group on, while the process's group is named
    from the machine's root on. Folders that do not exist are no loss then: the limit of the container is at the root.
    """
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return
    for _, controllers, name in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        mount = MOUNT if not controllers else MOUNT / "memory" if "memory" in controllers.split(",") else None
        if mount:
            group = PurePosixPath(name.removeprefix("/"))
            parents = () if ".." in group.parts else (group, *group.parents)
            yield from dict.fromkeys((*(mount / parent for parent in parents), mount))


def _free_in(group: Path) -> int | None:
    """Return the bytes that are free in one group; None if it has no limit."""
    limits = [_number(group / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
    uses = [_number(group / name) for name in ("memory.current", "memory.usage_in_bytes")]
    known, used = ([number for number in numbers if number is not None] for numbers in (limits, uses))
    if not known or not used:
        return None
    return int((1 - MARGIN) * min(known)) - max(used[0] - _reclaimable(group), 0)


def _reclaimable(group: Path) -> int:
    """Return the bytes of files that were read a while ago, which the kernel drops when a group needs memory."""
    try:
        stat = dict(line.split(" ", 1) for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # there is none, or it is "max"
        return None
