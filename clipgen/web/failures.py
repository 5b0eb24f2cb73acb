"""Errors of requests, each with its status of HTTP; all are shown as one line."""

from collections.abc import Callable

from clipgen.errors import ClipgenError, Interrupted


class RequestError(ClipgenError):
    """A request that cannot be answered as it is."""

    status = 400


class NotFoundError(RequestError):
    """Nothing has the name that was asked for."""

    status = 404


class ConflictError(RequestError):
    """What was asked for does not fit the state of a job or a picture."""

    status = 409


class TooLargeError(RequestError):
    """A body is larger than what is accepted."""

    status = 413


def status_of(error: Exception) -> int:
    """Return the status of HTTP for an error that ends in one line: a disk or a memory that is full is a 507."""
    if isinstance(error, RequestError):
        return error.status
    return 400 if isinstance(error, ClipgenError) else 507


def attempt(act: Callable[[], object]) -> str | None:
    """Do something; returns the line of the error that ended it."""
    try:
        act()
    except Interrupted:  # as it was asked to
        return None
    except ClipgenError as error:
        return str(error)
    except Exception as error:  # whatever it is, the next job has its turn
        return str(ClipgenError(f"unexpected {type(error).__name__}: {error}"))
    return None
