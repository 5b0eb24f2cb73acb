"""The OpenAPI document, made from the table of routes. Torch-free."""

from __future__ import annotations

import re
from typing import Any

from clipgen import __version__
from clipgen.web.downloads import STATES as DOWNLOAD_STATES
from clipgen.web.needs import CHOICES
from clipgen.web.options import BOOL, CHOICE, FIELDS, FLOAT, INT, SIZE, TEXT
from clipgen.web.routes import EVENTS, EVENTS_PATH, ROUTES, Route
from clipgen.web.uploads import MAX_BYTES

Schema = dict[str, Any]
_STRING: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_BOOL: Schema = {"type": "boolean"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_TYPES: dict[str, Schema] = {
    INT: _WHOLE,
    FLOAT: _NUMBER,
    BOOL: _BOOL,
    CHOICE: _STRING,
    TEXT: {"type": ["string", "number"]},
    SIZE: {"type": ["string", "integer"]},
}
STATES = ("queued", "running", "paused", "stopped", "done", "failed")


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split()}


def _list(item: str) -> Schema:
    return {"type": "array", "items": _ref(item)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _schemas() -> dict[str, Schema]:
    text = _or_null(_STRING)
    job = {
        "id": _STRING,
        "state": {"enum": list(STATES)},
        "stage": _STRING,
        "prompt": _STRING,
        "step": _WHOLE,
        "total": _WHOLE,
        "score": _or_null(_NUMBER),
        "frame": {**_WHOLE, "description": "version of the newest frame; 0 for none yet"},
        "position": {**_WHOLE, "description": "place in the queue; 0 while it runs"},
        "seed": _or_null(_WHOLE),
        "error": text,
        "notes": _STRINGS,
        "resumable": _BOOL,
        "created": {"type": "string", "format": "date-time"},
        "files": _list("File"),
        "picture": text,
        "request": _ref("Request"),
    }
    item = {
        "id": _STRING,
        "name": _STRING,
        "prompt": _STRING,
        "seed": _or_null(_WHOLE),
        "created": {"type": "string", "format": "date-time"},
        "width": _WHOLE,
        "height": _WHOLE,
        "thumb": _STRING,
        "files": _list("File"),
    }
    scores = {"type": "array", "items": {"type": "array", "items": _NUMBER}}
    found = {"request": _or_null(_ref("Request")), "recipe": _STRING, "notes": _STRINGS}
    return {
        "Error": _object("error", error=_STRING),
        "File": _object("kind name url", kind=_STRING, name=_STRING, url=_STRING),
        "ImagePrompt": _object("upload", upload=_STRING, weight=_NUMBER),
        "Request": _request(),
        "Job": _object(" ".join(job), **job),
        "JobWithScores": _object(" ".join((*job, "scores")), **job, scores=scores),
        "Item": _object(" ".join(item), **item),
        "ItemWithRecipe": _object(" ".join((*item, "request", "recipe")), **item, **found),
        "Page": _object("total items", total=_WHOLE, items=_list("Item")),
        "Upload": _object("id width height url", id=_STRING, width=_WHOLE, height=_WHOLE, url=_STRING),
        "Recipe": _object(
            "request name text notes", request=_ref("Request"), name=_STRING, text=_STRING, notes=_STRINGS
        ),
        "Removed": _object("id", id=_STRING),
        "More": _object("", steps={**_WHOLE, "minimum": 1, "default": 100}),
        "NewPrompt": _object("prompt", prompt=_STRING),
        "Count": _object("", count={**_WHOLE, "minimum": 1, "maximum": 16, "default": 4}),
        **_weights(),
        "Options": _object("version presets backends fields limits"),
    }


def _weights() -> dict[str, Schema]:
    """Return the schemas of what is said of weights and their downloads."""
    left = {**_WHOLE, "description": "bytes that have not arrived yet"}
    file = {"name": _STRING, "file": _STRING, "bytes": _WHOLE, "left": left, "licence": _STRING}
    preset = {
        "preset": _STRING,
        "bytes": {**_WHOLE, "description": "bytes that are still to be downloaded"},
        "exact": {**_BOOL, "description": "whether all sizes are known exactly"},
        "files": _list("WeightsFile"),
        "by_hand": {**_list("WeightsFile"), "description": "without a published hash: not downloaded from here"},
        "command": {**_or_null(_STRING), "description": "of a terminal, which gets those"},
    }
    download = {
        "preset": _STRING,
        "state": {"enum": list(DOWNLOAD_STATES)},
        "file": _STRING,
        "number": {**_WHOLE, "description": "of the file, from 1"},
        "count": _WHOLE,
        "bytes": _WHOLE,
        "total": _WHOLE,
        "note": _STRING,
        "error": _or_null(_STRING),
    }
    return {
        "WeightsFile": _object(" ".join(file), **file),
        "PresetWeights": _object(" ".join(preset), **preset),
        "Download": _object(" ".join(download), **download),
        "Weights": _object(
            "offline presets download",
            offline={**_BOOL, "description": "whether HF_HUB_OFFLINE forbids downloads"},
            presets=_list("PresetWeights"),
            download=_or_null(_ref("Download")),
        ),
        "Choice": _object("preset", **dict.fromkeys(CHOICES, _STRING)),
    }


def _request() -> Schema:
    settings = {name: _or_null(_TYPES[field.type]) for name, field in FIELDS.items()}
    return _object(
        "",
        prompt=_STRING,
        negative=_or_null(_STRING),
        image_prompts=_list("ImagePrompt"),
        init=_or_null(_STRING),
        mask=_or_null(_STRING),
        settings={"type": "object", "properties": settings, "additionalProperties": False},
        films=_STRINGS,
    )


def _content(kind: str) -> Schema:
    """Return the content of a body: of a schema, a list of one, or of another medium."""
    if "/" in kind:
        return {kind: {"schema": {"type": "string"} if kind == EVENTS else {}}}
    schema = _list(kind.strip("[]")) if kind.startswith("[") else _ref(kind)
    return {"application/json": {"schema": schema}}


def _operation(route: Route) -> Schema:
    named = [
        {"name": each, "in": "path", "required": True, "schema": _STRING} for each in re.findall("{(.*?)}", route.path)
    ]
    queries = [{"name": each, "in": "query", "required": False, "schema": _STRING} for each in route.queries]
    operation: Schema = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [*named, *queries],
        "responses": {
            str(route.status): {"description": route.summary, "content": _content(route.answers)},
            "default": {"description": "what is wrong, in one line", "content": _content("Error")},
        },
    }
    if route.takes:
        operation["requestBody"] = {"required": "/" in route.takes, "content": _content(route.takes)}
    return operation


def document() -> Schema:
    """Return the document (OpenAPI 3.1)."""
    paths: dict[str, Schema] = {}
    events = Route("GET", EVENTS_PATH, document, "jobs, steps and downloads as they change", EVENTS)  # type: ignore[arg-type]
    for route in (*ROUTES, events):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    paths[EVENTS_PATH]["get"]["operationId"] = "events"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clipgen",
            "version": __version__,
            "description": f"Pictures from sentences. Uploads may have up to {MAX_BYTES} bytes.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
