"""Names of the files of a plan. Torch-free."""

from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path

from clipgen.config.films import FPS
from clipgen.config.plan import Plan
from clipgen.config.saving import PNG, SUFFIXES
from clipgen.errors import UsageError
from clipgen.util.files import slug

# Formats that users may expect -o to write, but that it does not.
_OTHER_FORMATS = frozenset(
    """
    .apng .avif .bmp .eps .gif .heic .jfif .jpe .mov .mp4 .pdf .psd .svg .tif .tiff .txt .webm
    """.split()  # noqa: SIM905
)
SVG = ".svg"
"""The suffix of a drawing beside its picture."""
STEPS = "-steps"
"""Ends the name of the folder with the pictures of single steps."""
VIDEO = (".mp4", ".gif")
"""The films that --video asks for."""


def film_suffixes(*, video: bool, **wanted: bool) -> tuple[str, ...]:
    """Return the suffixes of the films that --video and the flags of single kinds ask for."""
    return tuple(suffix for suffix in FPS if wanted.get(suffix[1:]) or (video and suffix in VIDEO))


def steps_folder(picture: Path) -> Path:
    """Return the folder with the pictures of single steps of the run of a picture."""
    return picture.with_name(f"{picture.stem}{STEPS}")


def default_stem(plan: Plan) -> str:
    """Return the file name of a plan's picture, without suffix; texts that weigh nothing are a mere title."""
    title = " ".join(prompt.text for prompt in plan.prompts)
    return f"{slug(plan.text if any(prompt.weight for prompt in plan.prompts) else title)}-{plan.seed}"


def destination(out: Path, plan: Plan) -> tuple[Path, str]:
    """Return the folder and stem that `-o` means: those of a picture file, or a folder and the default name."""
    return folder_and_stem(out, default_stem(plan))


def folder_and_stem(out: Path, usual: str) -> tuple[Path, str]:
    """Return the folder and stem that `-o` means: those of a picture file, or a folder and the usual stem."""
    check_out(out)
    return (out.parent, out.stem) if _is_picture(out) else (out, usual)


def suffix_of(out: Path, usual: str = PNG) -> str:
    """Return the suffix of the picture that `-o` means; in a folder it is the usual one."""
    return out.suffix.lower() if _is_picture(out) else usual


def _is_picture(out: Path) -> bool:
    return out.suffix.lower() in SUFFIXES and not (lexists(out) and out.is_dir())


def check_out(out: Path) -> None:
    """Raise a UsageError if `-o` names a file of another format than a picture is written in."""
    if out.suffix.lower() in _OTHER_FORMATS:
        raise UsageError(
            f"-o {out} is not a PNG, JPEG or WebP file; use -o {out.with_suffix(PNG)}, with --mp4, --webm, --gif or "
            "--apng for a film"
        )


def check_png(out: Path) -> None:
    """Raise a UsageError if `-o` names a file of another format than PNG."""
    check_out(out)
    if suffix_of(out) != PNG:
        raise UsageError(
            f"-o {out} is not a PNG file, and no other format is written here; use -o {out.with_suffix(PNG)}"
        )


def check_folder(out: Path, why: str = "a batch writes a picture for each line") -> None:
    """Raise a UsageError if `-o` names a file where many pictures need a folder."""
    if out.suffix.lower() in _OTHER_FORMATS.union(SUFFIXES) and not (lexists(out) and out.is_dir()):
        raise UsageError(f"-o {out} is a file, and {why}; use -o FOLDER")
