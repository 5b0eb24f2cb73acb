"""`clipgen mcp`: tools for assistants."""

from typing import Annotated

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.option_groups import flat, only
from clipgen.cli.web import WebOutput
from clipgen.errors import ClipgenError
from clipgen.session.naming import check_folder


@flat
def mcp(*, output: WebOutput, engine: Annotated[EngineOptions, only("device")]) -> None:
    """Offer an assistant tools that make pictures (Model Context Protocol).

    It talks on standard input and output; name this command in the assistant's settings.
    """
    check_folder(output.out, "an assistant asks for many pictures")
    try:
        from clipgen.web.assistants import serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("mcp", "anyio"):
            raise
        raise ClipgenError(
            'clipgen mcp needs the package mcp, which is not installed; use pip install "clipgen[mcp]"'
        ) from error
    serve(output.out, engine.device)
