"""The options that say what a picture is compared with beside its texts, and the fields of a job that they set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import typed
from clipgen.cli.steering_options import STEERING
from clipgen.cli.values import expanded
from clipgen.config.prompts import Prompt
from clipgen.config.targets import (
    CHANGE,
    EMBEDDING,
    IMAGE,
    MIX,
    NOISE,
    REGION,
    STYLE,
    SUM,
    TARGET_KINDS,
    WHOLE,
    changed,
    mixed,
)
from clipgen.errors import UsageError


@dataclass(frozen=True)
class TargetOptions:
    """What the picture is compared with beside the prompt, and how texts are joined."""

    image_prompt: Annotated[
        list[str] | None,
        Option(
            "--image-prompt",
            "Be like this picture, by CLIP's view of parts of it; repeat it for several. The weight may be negative, "
            "and 1..0 falls over the run.",
            TARGET_KINDS[IMAGE].metavar,
            panel=STEERING,
        ),
    ] = None
    target_image: Annotated[
        list[str] | None,
        Option(
            "--target-image",
            "Be like this picture, by CLIP's view of all of it at once.",
            TARGET_KINDS[WHOLE].metavar,
            panel=STEERING,
        ),
    ] = None
    variations_of: Annotated[
        str | None,
        Option(
            "--variations-of",
            "Draw what this picture shows, as a whole and in parts; another --seed gives another variation.",
            "FILE",
            panel=STEERING,
        ),
    ] = None
    noise_prompt: Annotated[
        list[str] | None,
        Option(
            "--noise-prompt",
            "Pull in a random direction, too, which another seed changes.",
            TARGET_KINDS[NOISE].metavar,
            panel=STEERING,
        ),
    ] = None
    embedding: Annotated[
        list[str] | None,
        Option(
            "--embedding",
            "Pull towards a CLIP embedding from an .npy or .safetensors file.",
            TARGET_KINDS[EMBEDDING].metavar,
            panel=STEERING,
        ),
    ] = None
    region: Annotated[
        list[str] | None,
        Option(
            "--region",
            'Show this in a part of the picture: left:"a tree", also right, top, bottom, centre, or a mask FILE, white '
            "there.",
            TARGET_KINDS[REGION].metavar,
            panel=STEERING,
        ),
    ] = None
    style_image: Annotated[
        list[str] | None,
        Option(
            "--style-image",
            "Have the colours and textures of this picture, whatever it shows; repeat it for several.",
            TARGET_KINDS[STYLE].metavar,
            panel=STEERING,
        ),
    ] = None
    templates: Annotated[
        bool,
        Option(
            "--templates",
            "Take the texts for labels, such as cat, and average them over templates such as a photo of a cat.",
            panel=STEERING,
        ),
    ] = False
    as_sum: Annotated[
        bool,
        Option(
            "--sum",
            'Pull towards the sum of the texts and target images, each times its weight: "a king|a man:-1|a woman".',
            panel=STEERING,
        ),
    ] = False
    mix: Annotated[
        tuple[str, str, str] | None,
        Option(
            "--mix",
            "In place of a prompt: two texts, and how far to go on the great circle from the first (0) to the "
            "second (1).",
            "TEXT TEXT SHARE",
            panel=STEERING,
        ),
    ] = None
    change: Annotated[
        tuple[str, str] | None,
        Option(
            "--change",
            'In place of a prompt: turn the init image from one text to another, as in --change "a house" "a modern '
            'house".',
            "TEXT TEXT",
            panel=STEERING,
        ),
    ] = None

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a job that were given, which may include its prompts. Raises UsageError."""
        varied = [self.variations_of] if self.variations_of else []
        given = {
            IMAGE: [*(self.image_prompt or ()), *varied],
            WHOLE: [*(self.target_image or ()), *varied],
            NOISE: self.noise_prompt or (),
            EMBEDDING: self.embedding or (),
            REGION: self.region or (),
            STYLE: self.style_image or (),
        }
        targets = tuple(_read(kind, text) for kind, texts in given.items() for text in texts)
        flags = {SUM: self.as_sum, MIX: self.mix is not None, CHANGE: self.change is not None}
        asked = [f"--{name}" for name, is_given in flags.items() if is_given]
        if len(asked) > 1:
            raise UsageError(f"{' and '.join(asked)} exclude each other; give one")
        blend = asked[0].removeprefix("--") if asked else None
        return typed(
            targets=targets or None, blend=blend, templates=self.templates or None, prompts=self._prompts() or None
        )

    def _prompts(self) -> tuple[Prompt, ...]:
        """Return the prompts of `mix` or `change`, or a title for variations."""
        if self.mix:
            return mixed(*self.mix)
        if self.change:
            return changed(*self.change)
        if self.variations_of:
            words = Path(self.variations_of).stem.replace("-", " ").replace("_", " ")
            return (Prompt(words.translate(_NO_SIGNS) or "picture", 0.0),)
        return ()


_NO_SIGNS = str.maketrans("|^:", "   ")


def _read(kind: str, text: str) -> str:
    """Return a target as a job has it: an embedding by its numbers, others with the path of their file."""
    if text.startswith("~"):
        text = str(expanded(Path(text), TARGET_KINDS[kind].flag))
    if kind != EMBEDDING:
        return f"{kind}:{text}"
    from clipgen.session.embeddings import with_embedding

    return with_embedding(text)
