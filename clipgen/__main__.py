"""The `clipgen` command, which is `python -m clipgen`, too."""

import atexit
import gc
import os
import signal
import sys


def _end_by_signals() -> None:
    """Let Ctrl-C and SIGTERM end the process silently, unless they are ignored: Python would show where it was."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__" or os.path.basename(sys.argv[0]).startswith("clipgen"):  # noqa: PTH119 - pathlib takes long
    _end_by_signals()  # now, as the script that pip has made does more before it calls `main`


_FOR_TORCH = {"OMP_WAIT_POLICY": "PASSIVE", "THP_MEM_ALLOC_ENABLE": "1"}
"""What torch reads when it is loaded: its threads leave the processor to other programs while they wait, and large
tensors lie in large pages, which take less of the system's time."""


def main() -> None:
    """Run the program on `sys.argv`; until a command begins, and after it, Ctrl-C ends it at once."""
    _end_by_signals()  # first: the imports take a moment
    for name, value in _FOR_TORCH.items():
        os.environ.setdefault(name, value)
    from clipgen.util.interrupts import end_at_once_on_signals

    end_at_once_on_signals()
    atexit.register(gc.freeze)  # at its end Python would search all that PyTorch has made for garbage, over a second
    from clipgen.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
