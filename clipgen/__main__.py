"""The `clipgen` command, which is `python -m clipgen`, too."""

import atexit
import gc

from clipgen.util.interrupts import end_at_once_on_signals


def main() -> None:
    """Run the program on `sys.argv`; until a command begins, and after it, Ctrl-C ends it at once."""
    end_at_once_on_signals()  # before the imports, which take a moment
    atexit.register(gc.freeze)  # at its end Python would search all that PyTorch has made for garbage, over a second
    from clipgen.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
