"""`clipgen web`: the page in a browser."""

from typing import Annotated

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.failures import say
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.output_options import DEFAULT_FOLDER, OutputOptions
from clipgen.errors import ClipgenError, UsageError
from clipgen.session.naming import check_folder

SERVER = "Server"
Host = Annotated[
    str, Option("--host", "Address to listen on; others than this machine's own need a token.", "HOST", panel=SERVER)
]
Port = Annotated[int, Option("--port", "Port to listen on; 0 for any that is free.", "NUMBER", panel=SERVER)]
Token = Annotated[
    str | None,
    Option(
        "--token",
        "What a browser must know to get in.",
        "TEXT",
        panel=SERVER,
        default="none on this machine; else a random one, in the address that is printed",
    ),
]
Open = Annotated[bool, Option("--open/--no-open", "Open the page in a browser.", panel=SERVER)]
WebOutput = Annotated[
    OutputOptions,
    only("out"),
    redeclared(
        out={
            "text": "Folder to write to; the page shows the pictures in it.",
            "metavar": "FOLDER",
            "default": f"{DEFAULT_FOLDER}",
        }
    ),
]


@flat
def web(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8384,
    token: Token = None,
    opens: Open = False,
    output: WebOutput,
    engine: Annotated[EngineOptions, only("device")],
) -> None:
    """Show a page on which pictures are made, watched and steered.

    It is for this machine alone unless --host says otherwise. All of it comes from here; only the weights that a preset
    needs are downloaded from elsewhere, when a button is pressed that says how large they are.
    """
    check_folder(output.out, "the page writes many pictures")
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be from 0 to 65535, got {port}")
    try:
        from clipgen.web.serving import serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise ClipgenError(
            'clipgen web needs Starlette and uvicorn, which are not installed; use pip install "clipgen[web]"'
        ) from error
    serve(output.out, host, port, say=say, token=token or "", device=engine.device, opens=opens)
