"""Scenes that begin at chosen moments of a run. Torch-free."""

from collections.abc import Sequence

from clipgen.config.keyframes import Place
from clipgen.config.prompts import SCENES, joined_scenes
from clipgen.errors import UsageError
from clipgen.util.text import quoted

Scene = tuple[str, str]
"""Where it begins, see `Place`, and its text."""


def begins_at_once(scenes: Sequence[Scene]) -> bool:
    """Tell whether the first scene begins with the run; raises UsageError for a place that is none."""
    return Place.parse(scenes[0][0], "--at").is_start


def with_scenes(prompt: str | None, scenes: Sequence[Scene]) -> tuple[str | None, tuple[str, ...]]:
    """Return the text of a story, and where each of its scenes begins; the prompt itself and () without scenes.

    prompt: the scene before the first of `scenes`; None if that begins at once. Raises UsageError.
    """
    if not scenes:
        return prompt, ()
    told = [(Place.parse(place, "--at"), text) for place, text in scenes]
    at_once = begins_at_once(scenes)
    if prompt and at_once:
        raise UsageError(f"--at {told[0][0]} and the prompt {quoted(prompt)} are both the first scene; leave one out")
    if not prompt and not at_once:
        raise UsageError(f"--at {told[0][0]} needs a scene before it; give a prompt, or --at 0 TEXT")
    everything = told if at_once else [(Place("0"), prompt or ""), *told]
    for place, text in everything:
        if not text.strip():
            raise UsageError(f"--at {place} has no text; say what to draw, as in --at {place} autumn")
        if SCENES.search(f" {text} "):
            raise UsageError(f'{quoted(text)} has scenes of its own; use either --at or " ^ "')
    return joined_scenes([text for _, text in everything]), tuple(str(place) for place, _ in everything)
