"""`clipgen rank "a cat" PICTURE...`: pictures, best first; and `--image PICTURE`: prompts, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.clip_options import JudgingModels, asked_clips, load_clips, note_long_texts
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.judged_pictures import judged_pictures, readable
from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.report import Notes, Results, echo_path
from clipgen.cli.score import JudgingOutput
from clipgen.cli.values import expanded
from clipgen.config.checks import check_whole
from clipgen.config.prompts import Prompt, parse_prompts, prompt_notes
from clipgen.errors import UsageError
from clipgen.util.files import make_folder
from clipgen.util.text import quoted, visible

if TYPE_CHECKING:
    from clipgen.judge.zero_shot import Member

MAX_KEEP = 1_000_000
NAME_PICTURES = 'name pictures after the prompt, as in clipgen rank "a cat" outputs'

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="PROMPT PICTURE|FOLDER",
        help="A prompt, with weights as for `clipgen run`, and pictures, folders of pictures, patterns such as "
        '"*.png", or - for paths on standard input. With --image, prompts.',
        show_default=False,
    ),
]
ImageOption = Annotated[
    Path | None,
    Option("--image", "Rank prompts by how well they fit this picture, instead of pictures by a prompt.", "PICTURE"),
]
Keep = Annotated[int | None, Option("--keep", "Print so many, the best.", "NUMBER", default="all")]
Copy = Annotated[
    Path | None,
    Option(
        "--copy",
        "Copy those that are printed into a folder, and print the paths of the copies; nothing is ever overwritten: a "
        "name that is taken gets a number.",
        "FOLDER",
    ),
]


@flat
def rank(
    prompt: Words,
    *,
    image: ImageOption = None,
    keep: Keep = None,
    copy: Copy = None,
    models: JudgingModels,
    engine: Annotated[EngineOptions, only("device")],
    output: JudgingOutput,
) -> None:
    """Print pictures in the order in which they fit a prompt, best first; or prompts, in that in which they fit one.

    The measure is the cosine, weighted if the prompt is; several CLIPs are averaged.
    """
    check_whole("--keep", MAX_KEEP if keep is None else keep, 1, MAX_KEEP)
    if image and copy:
        raise UsageError(f"--copy {copy} copies pictures, and --image ranks prompts; leave one out")
    notes = output.notes()
    texts = list(dict.fromkeys(prompt)) if image else prompt[:1]
    prompts = [_read(text, notes) for text in texts]
    found = [_picture(image, notes)] if image else _pictures(prompt, notes)
    if copy:
        make_folder(expanded(copy, "--copy"), "--copy")  # now, as judging takes time
    results = Ranked(load_clips(asked_clips(models, notes), engine.device), keep)
    note_long_texts(results.members, [one.text for each in prompts for one in each], notes)
    try:
        for path, scores in _scored(results, prompts, found, notes):
            results.rows += zip(texts, scores, strict=True) if image else [(path, scores[0])]
        results.complete = True
    finally:
        if results.rows:  # after Ctrl-C, too
            results.report({"image": str(image)} if image else {"prompt": prompt[0]}, copy, as_json=output.as_json)


def _read(text: str, notes: Notes) -> tuple[Prompt, ...]:
    """Return the texts of a prompt; raises UsageError if none counts."""
    prompts = parse_prompts(text)
    if not any(prompt.peak for prompt in prompts):
        raise UsageError(f"every weight of {quoted(text)} is 0, so that all fit alike; give one text another weight")
    notes.say(prompt_notes(prompts))
    return prompts


def _picture(image: Path, notes: Notes) -> Path:
    found = judged_pictures([image], "--image", notes)
    if found != [expanded(image, "--image")]:
        raise UsageError(f"--image {image} must be one picture; to rank several: clipgen rank PROMPT PICTURE...")
    return found[0]


def _pictures(words: Sequence[str], notes: Notes) -> list[Path]:
    """Return the pictures that follow the prompt; raises UsageError if none do, or if they precede it."""
    if not words[1:]:
        raise UsageError(NAME_PICTURES)
    if lexists(words[0]) and not lexists(words[-1]):
        raise UsageError(f"the prompt comes first: clipgen rank {quoted(words[-1])} {visible(words[0])} ...")
    return judged_pictures([Path(word) for word in words[1:]], "rank", notes)


def _scored(
    results: Ranked, prompts: Sequence[Sequence[Prompt]], found: Sequence[Path], notes: Notes
) -> Iterator[tuple[Path, list[list[float]]]]:
    """Yield each picture with, for each prompt, its similarities by each CLIP."""
    from clipgen.judge.pictures import seen
    from clipgen.judge.zero_shot import weighted_target

    perceptors = [member.perceptor for member in results.members]
    targets = [[weighted_target(perceptor, each) for perceptor in perceptors] for each in prompts]
    for each in readable(seen(found, perceptors), len(found), notes, results.left_out):
        yield (
            each.path,
            [[float(a @ b) for a, b in zip(target, each.vectors, strict=True)] for target in targets],
        )


class Ranked:
    """What was scored, and the order of it."""

    def __init__(self, members: Sequence[Member], keep: int | None) -> None:
        self.members = members
        self._clips = {member.name: member.weight for member in members}
        self._keep = keep
        self.rows: list[tuple[Path | str, list[float]]] = []
        """Pictures or prompts, with their similarity by each CLIP."""
        self.left_out: list[str] = []
        """Why pictures could not be read."""
        self.complete = False

    def best(self) -> list[tuple[Path | str, float, list[float]]]:
        """Return the best, with the average of their similarities and each of them; of equals the first first."""
        total = sum(self._clips.values())
        means = [
            sum(weight * one for weight, one in zip(self._clips.values(), scores, strict=True)) / total
            for _, scores in self.rows
        ]
        order = sorted(range(len(means)), key=lambda k: -means[k])[: self._keep]
        return [(self.rows[k][0], means[k], self.rows[k][1]) for k in order]

    def report(self, asked: dict[str, str], copy: Path | None, *, as_json: bool) -> None:
        """Copy pictures if `copy` is a folder, and print lines or a JSON document."""
        best = self.best()
        copies = _copied([Path(what) for what, *_ in best], copy) if copy else []
        if as_json:
            rows = [
                {
                    "path" if isinstance(what, Path) else "prompt": str(what),
                    "similarity": mean,
                    "by_clip": dict(zip(self._clips, scores, strict=True)),
                    **({"copy": str(copies[number])} if copies else {}),
                }
                for number, (what, mean, scores) in enumerate(best)
            ]
            clips = [{"name": name, "weight": weight} for name, weight in self._clips.items()]
            told = {**asked, "clips": clips, "complete": self.complete, "left_out": self.left_out}
            Results(as_json=True).print_json({**told, "ranked": rows})
            return
        lines: Sequence[Path | str] = copies or [what for what, *_ in best]
        for line in lines:
            echo_path(line) if isinstance(line, Path) else typer.echo(visible(line))


def _copied(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Copy files into a folder, under free names, and return the copies."""
    import shutil

    from clipgen.util.files import replacing, reserved

    copies = []
    for path in paths:
        with reserved(expanded(folder, "--copy"), path.stem, (path.suffix,), "--copy") as places:
            with replacing(places[path.suffix]) as partial:
                shutil.copyfile(path, partial)
            copies.append(places[path.suffix])
    return copies
