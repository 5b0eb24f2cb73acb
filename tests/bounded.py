"""What reading costs: processor time, memory, and the length of the message, each against the size of what is read."""

import time
import tracemalloc
from collections.abc import Callable

from mutators import check_line

from clipgen.errors import ClipgenError

SIZES = (1_000, 8_000, 64_000)
LONG = 1_000_000
"""Here what is quadratic takes a minute."""
SECONDS, SECONDS_A_BYTE = 1.0, 8e-6
MEMORY, MEMORY_A_BYTE = 4_000_000, 400
"""A pickle's smallest instruction, of a byte or two, makes an object with a list and a memo."""
MAX_MESSAGE = 600


def check_time(act: Callable[[], object], size: int) -> None:
    """Do what may raise a ClipgenError of one line, and check how long it takes on an input of so many bytes."""
    started = time.process_time()
    try:
        act()
    except ClipgenError as error:
        check_line(str(error))
        assert len(str(error)) < MAX_MESSAGE
    assert time.process_time() - started < SECONDS + SECONDS_A_BYTE * size


def check_memory(act: Callable[[], object], size: int) -> None:
    """Likewise of memory. Time is not measured, for the measurement itself takes most of it."""
    tracemalloc.start()
    try:
        act()
    except ClipgenError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < MEMORY + MEMORY_A_BYTE * size
