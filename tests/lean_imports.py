"""Imports the program as it does itself, without torch's compiler: processes that tests start are ready sooner."""

from clipgen.util.lean import without_compiler

with without_compiler():
    import clipgen.session.session  # noqa: F401
