"""The recipe of a picture, inside its PNG file.

Two text chunks: `clipgen` is JSON and holds the whole job, without loss; `parameters` is the text that web UIs for
image generation read. Neither names a user, a host or a folder: of an init image only the file name and hash are kept.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from clipgen import __version__
from clipgen.errors import UsageError
from clipgen.job import MAX_JSON, Job, Prompt
from clipgen.presets import PRESETS
from clipgen.sinks.base import Outcome

SCHEMA = 1
CHUNK = "clipgen"
WEB_UI_CHUNK = "parameters"


def describe_job(job: Job) -> dict[str, Any]:
    """Return the part of the record that says what was asked for; equal for equal jobs, and safe to publish."""
    record: dict[str, Any] = {"job": job.to_dict()}
    if job.init is not None:
        record["job"]["init"] = Path(job.init).name
        record["init_sha256"] = _hash(job.init)
    return record


def _hash(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"--init {path} can no longer be read ({error.strerror}); put it back") from error


def describe_run(
    asked: dict[str, Any], *, outcome: Outcome, steps_done: int, score: float, loss: float
) -> dict[str, Any]:
    """Return the whole record of one picture: what was asked for, from `describe_job`, and what came of it."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        **asked,
        "outcome": outcome.value,
        "steps_done": steps_done,
        "clip_score": score,
        "loss": loss,
    }


def png_chunks(job: Job, record: dict[str, Any]) -> PngInfo:
    """Build both chunks, to save with a picture."""
    info = PngInfo()
    info.add_text(CHUNK, json.dumps(record))
    info.add_text(WEB_UI_CHUNK, web_ui_text(job))
    return info


def read(path: Path) -> dict[str, Any] | None:
    """Return the record inside a PNG file, or nothing where there is none. It may come from a stranger."""
    if not path.is_file():  # a pipe could block for ever
        return None
    try:
        with warnings.catch_warnings(action="error"), Image.open(path, formats=("PNG",)) as image:
            text = image.info.get(CHUNK)
        record = json.loads(text) if isinstance(text, str) and len(text) <= MAX_JSON else None
    except Exception:  # On damaged files decoders raise whatever they stumble on.
        return None
    return record if isinstance(record, dict) else None


def is_done(path: Path, job: Job) -> bool:
    """Tell whether `path` is the finished picture of exactly this job."""
    record = read(path)
    wanted = {"outcome": Outcome.FINISHED.value, **describe_job(job)}
    return record is not None and all(record.get(key) == value for key, value in wanted.items())


def web_ui_text(job: Job) -> str:
    """Write the `parameters` text: the prompt, a line with what to avoid, and a line of `Key: value` pairs."""
    size = job.size and f"{job.size[0]}x{job.size[1]}"
    pairs = {
        "Steps": job.steps,
        "Sampler": PRESETS[job.preset].generators[job.backend].optimizer if job.preset in PRESETS else None,
        "Seed": job.seed,
        "Size": size,
        "Model": f"{job.backend} {job.preset}",
        "Learning rate": job.lr,
        "Cutouts": job.cutouts,
        "Version": f"clipgen {__version__}",
    }
    wanted = _joined(prompt for prompt in job.prompts if prompt.weight >= 0)
    avoided = _joined(prompt for prompt in job.prompts if prompt.weight < 0)
    lines = [wanted, f"Negative prompt: {avoided}" if avoided else ""]
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value is not None))
    return "\n".join(filter(None, lines))


def _joined(prompts: Iterable[Prompt]) -> str:
    return "|".join(prompt.text for prompt in prompts)


def _quoted(value: object) -> str:
    """Quote a value where it holds one of the characters that separate pairs."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
