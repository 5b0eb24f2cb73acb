"""The `clipgen` command, which is `python -m clipgen`, too."""

import atexit
import gc
import signal


def main() -> None:
    """Run the program on `sys.argv`; until a command begins, and after it, Ctrl-C ends it at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)  # first: the imports take a moment, and Python shows where it was
    from clipgen.util.interrupts import end_at_once_on_signals

    end_at_once_on_signals()
    atexit.register(gc.freeze)  # at its end Python would search all that PyTorch has made for garbage, over a second
    from clipgen.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
