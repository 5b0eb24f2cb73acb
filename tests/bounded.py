"""What reading costs: processor time, memory, and the length of the message, each against the size of what is read."""

import time
import tracemalloc
from collections.abc import Callable

from mutators import check_line

from clipgen.errors import ClipgenError

SIZES = (1_000, 8_000, 64_000)
LONG = 256_000
"""Here what is quadratic takes a minute."""
SECONDS, SECONDS_A_BYTE = 3.0, 8e-6
MEMORY, MEMORY_A_BYTE = 4_000_000, 400
"""A pickle's smallest instruction, of a byte or two, makes an object with a list and a memo."""
MAX_MESSAGE = 600


def check_time(act: Callable[[], object], size: int) -> None:
    """Do what may raise a ClipgenError of one line, and check how long it takes on an input of so many bytes."""
    message = ""
    started = time.process_time()
    try:
        act()
    except ClipgenError as error:
        message = str(error)
        check_line(message)
    assert len(message) < MAX_MESSAGE
    assert time.process_time() - started < SECONDS + SECONDS_A_BYTE * size


def check_memory(act: Callable[[], object], size: int, always: int = MEMORY) -> None:
    """Likewise of memory, of which it may take so much `always`; time is not checked, as this takes most of it."""
    tracemalloc.start()
    try:
        act()
    except ClipgenError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < always + MEMORY_A_BYTE * size
