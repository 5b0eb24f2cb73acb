"""Making the pictures of an evaluation: kept as files, continued after a stop, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt, parse_prompts, spell_prompts
from clipgen.config.resolve import resolve
from clipgen.core.contracts import Outcome
from clipgen.errors import ClipgenError, UsageError
from clipgen.session.batch import Asked, Batch
from clipgen.session.evaluation_folder import PICTURES, SECONDS, read_json, write_json
from clipgen.session.options import Listener, OutputOptions
from clipgen.session.picture import Picture
from clipgen.session.session import Session
from clipgen.util.images import load_image
from clipgen.util.text import quoted


@dataclass(frozen=True)
class Wanted:
    """A picture of an evaluation."""

    text: str
    """The prompt, a single text: what it holds is never taken for a weight."""
    plan: Plan


@dataclass(frozen=True)
class Made:
    """A finished picture of an evaluation."""

    place: int
    """Of what was wanted, from 0."""
    path: Path
    seconds: float | None
    """What it took, or its share of what its group took in lockstep; None if a process that was killed lost count."""

    @property
    def picture(self) -> Image.Image:
        """The picture, from its file."""
        return load_image(self.path, "the picture")[0]


def wanted_for(text: str, seed: int, template: Job, device: str) -> Wanted:
    """Return the picture of one text with the settings of `template`. Raises UsageError."""
    job = replace(template, prompts=parse_prompts(_spelled(text)), seed=seed)
    return Wanted(text, resolve(job, device=device)[0])


def _spelled(text: str) -> str:
    """Return the prompt that stands for exactly this text. Raises UsageError if there is none."""
    spelled = spell_prompts([Prompt(text)])
    if parse_prompts(spelled) != (Prompt(text),):
        raise UsageError(f'{quoted(text)} holds " ^ ", which separates scenes; leave it out')
    return spelled


class Maker:
    """Makes the pictures of an evaluation in its folder; those that are finished there are not made again.

    together: maximum number of pictures made in lockstep. on_picture: receives the place of each picture that has been
    made, and the seconds it took. note, error: receive lines for the user.
    """

    def __init__(
        self,
        folder: Path,
        template: Job,
        device: str,
        together: int,
        on_picture: Callable[[int, float | None], None],
        note: Callable[[str], None] = lambda _line: None,
        error: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.folder = folder
        listener, options = Listener(note=note, error=error), OutputOptions()
        self.session = Timed(device, folder / SECONDS, options, listener, self._report)
        self.wanted: list[Wanted] = []
        self._on_picture = on_picture
        self._batch = Batch(
            self.session,
            template,
            None,
            folder / PICTURES,
            options,
            listener,
            device=device,
            together=together,
            unit="picture",
        )

    @property
    def failed(self) -> list[dict[str, object]]:
        """The number, from 1, and the error of each picture that failed."""
        return self._batch.failed

    def make(self, wanted: Sequence[Wanted]) -> None:
        """Make what is wanted; one that fails costs itself alone. Ctrl-C raises, and keeps what was made."""
        self.wanted = list(wanted)
        self._batch.make_all(
            [
                Asked(place + 1, _spelled(each.text), f"[{place + 1}/{len(wanted)}]", (("seed", each.plan.seed),))
                for place, each in enumerate(wanted)
            ]
        )

    def made(self) -> list[Made]:
        """Return what is finished, in the order in which it was wanted."""
        known = _seconds(self.session.record)
        return [Made(number - 1, path, known.get(path.name)) for number, path in sorted(self._batch.pictures.items())]

    def _report(self, plan: Plan, seconds: float | None) -> None:
        place = next((k for k, each in enumerate(self.wanted) if each.plan == plan), None)
        if place is not None:
            self._on_picture(place, seconds)


class Timed(Session):
    """A session that keeps the seconds of each picture in a JSON file, also over stops; models are loaded before.

    A picture made in lockstep takes its share of the seconds of its group.
    """

    def __init__(
        self,
        device: str,
        record: Path,
        options: OutputOptions,
        listener: Listener,
        on_picture: Callable[[Plan, float | None], None],
    ) -> None:
        super().__init__(device, options=options, listener=listener)
        self.record, self._on_timed = record, on_picture

    def make_together(self, pictures: Sequence[Picture]) -> list[ClipgenError | None]:
        """Make pictures in lockstep, as `Session` does."""
        self.models(pictures[0].plan)
        begun = [picture.steps_done for picture in pictures]
        started = time.perf_counter()
        try:
            return super().make_together(pictures)
        finally:
            self._keep(pictures, begun, (time.perf_counter() - started) / len(pictures))

    def _keep(self, pictures: Sequence[Picture], begun: Sequence[int], seconds: float) -> None:
        rows = read_json(self.record) or {}
        for picture, done in zip(pictures, begun, strict=True):
            rows[picture.path.name] = row = added(rows.get(picture.path.name), done, seconds, picture.record)
            row["together"] = len(pictures)
        write_json(self.record, rows)
        for picture in pictures:
            if picture.record.get("outcome") == Outcome.FINISHED.value:
                self._on_timed(picture.plan, rows[picture.path.name]["seconds"])


def added(earlier: Any, begun: int, seconds: float, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a picture whose run went on after `begun` steps and took further seconds.

    earlier: its row so far, or None. If that ends at another step, a process was killed, and the sum is unknown.
    """
    known = earlier if isinstance(earlier, dict) else {"steps": 0, "seconds": 0.0}
    before = 0.0 if begun == 0 else known.get("seconds") if known.get("steps") == begun else None
    return {"seconds": None if before is None else before + seconds, "steps": record.get("steps_done", begun)}


def _seconds(record: Path) -> dict[str, float | None]:
    rows = read_json(record)
    return {name: row.get("seconds") for name, row in rows.items()} if isinstance(rows, dict) else {}
