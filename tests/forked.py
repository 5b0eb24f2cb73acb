"""Runs of the program whose streams are broken, each in a fork of one process that has imported everything.

`python tests/forked.py` reads a JSON list [arguments, kind of stdout, kind of stderr] from each line of its input, runs
`clipgen` with the fakes as models, and answers each with the exit code. The kinds are keys of `STREAMS`.
"""

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable

Ends = tuple[int | None, int | None]
"""A stream for the program, and its other end, which is read once and closed."""


def unread() -> Ends:
    reader, writer = os.pipe()
    os.close(reader)
    return writer, None


def hung_up() -> Ends:
    ours, theirs = os.openpty()
    os.close(ours)
    return theirs, None


STREAMS: dict[str, Callable[[], Ends]] = {
    "file": lambda: (os.open("said.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND), None),
    "full": lambda: (os.open("/dev/full", os.O_WRONLY), None),
    "closed": lambda: (None, None),
    "unread": unread,
    "head": lambda: os.pipe()[::-1],
    "hung up": hung_up,
    "closed later": lambda: os.openpty()[::-1],
}


def read_once(end: int) -> None:
    os.read(end, 1)
    os.close(end)


def run(arguments: list[str], streams: list[int | None]) -> None:
    """Be the program, with these descriptors for stdout and stderr, as a new interpreter would find them."""
    for number, descriptor in enumerate(streams, start=1):
        if descriptor is None:
            os.close(number)
        else:
            os.dup2(descriptor, number)
    files = [None if each is None else open(number, "w", closefd=False) for number, each in enumerate(streams, start=1)]  # noqa: SIM115
    for file in files:
        if isinstance(file, io.TextIOWrapper):
            file.reconfigure(line_buffering=file is files[1])
    sys.stdout, sys.stderr = files  # type: ignore[assignment]
    sys.__stdout__, sys.__stderr__ = files  # type: ignore[misc]
    sys.argv = ["clipgen", *arguments]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    from clipgen.__main__ import main

    main()


def serve() -> None:
    from fakes import install

    import clipgen.cli.app
    import clipgen.outputs.preview
    import clipgen.session.batch
    import clipgen.session.resume  # noqa: F401

    install()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        arguments, *kinds = json.loads(line)
        ends = [STREAMS[kind]() for kind in kinds]
        child = os.fork()
        if not child:
            for _, other in ends:
                if other is not None:
                    os.close(other)
            run(arguments, [stream for stream, _ in ends])
            sys.exit(0)
        for stream, other in ends:
            if stream is not None:
                os.close(stream)
            if other is not None:
                threading.Thread(target=read_once, args=(other,), daemon=True).start()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.write(f"{code}\n")
        answers.flush()


if __name__ == "__main__":
    serve()
