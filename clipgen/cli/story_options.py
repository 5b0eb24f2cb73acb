"""The options that say when scenes begin and how they follow each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import typed
from clipgen.cli.steering_options import STEERING
from clipgen.config.stories import begins_at_once, with_scenes

AT = "--at"


@dataclass(frozen=True)
class StoryOptions:
    """The scenes of a run."""

    at: Annotated[
        list[str] | None,
        Option(
            AT,
            "A scene that begins at this moment, as in --at 200 autumn, or at 50%; repeat it for several. The prompt "
            'is the scene before the first; --at 0 takes its place. Scenes separated by " ^ " are equally long.',
            "STEP|PERCENT PROMPT",
            panel=STEERING,
        ),
    ] = None
    cross_fade: Annotated[
        str | None,
        Option(
            "--cross-fade",
            "Let each scene fade into the next over this part of the run, half of it before the change.",
            "STEPS|PERCENT",
            panel=STEERING,
            default="none: scenes change from one step to the next",
        ),
    ] = None

    def told(self, prompt: str | None, usual: str | None = None) -> tuple[str | None, dict[str, Any]]:
        """Return a prompt with the scenes that were given, and the fields of a job that say when they are.

        usual: the scene before those of --at if there is no prompt. Raises UsageError where they do not go together.
        """
        scenes = [_scene(text) for text in self.at or ()]
        first = usual if prompt is None and scenes and not begins_at_once(scenes) else prompt
        text, places = with_scenes(first, scenes)
        return text, typed(at=places or None, cross_fade=self.cross_fade)


def joined_scenes(args: Sequence[str]) -> list[str]:
    """Return arguments with the two values of each --at as one, "200 autumn", which is how the parser takes them."""
    found: list[str] = []
    for place, arg in enumerate(args):
        if arg == "--":
            return [*found, *args[place:]]
        if found and not arg.startswith("-") and _lacks_text(found):
            found[-1] += f" {arg}"
        else:
            found.append(arg)
    return found


def _lacks_text(args: Sequence[str]) -> bool:
    """Tell whether arguments end in the place of a scene."""
    last = args[-1]
    return " " not in last and (args[-2:-1] == [AT] or last.startswith(f"{AT}="))


def _scene(text: str) -> tuple[str, str]:
    place, _, said = text.strip().partition(" ")
    return place, said.strip()
