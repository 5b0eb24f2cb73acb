"""Names of the files of a plan. Torch-free."""

from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path

from clipgen.config.plan import Plan
from clipgen.errors import UsageError
from clipgen.util.files import slug

# Formats that users may expect -o to write, but that it does not.
_OTHER_FORMATS = frozenset(
    ".avif .bmp .eps .gif .heic .jfif .jpe .jpeg .jpg .mov .mp4 .pdf .psd .svg .tif .tiff .txt .webm .webp".split()  # noqa: SIM905
)


def film_suffixes(*, video: bool, mp4: bool, gif: bool) -> tuple[str, ...]:
    """Return the suffixes of the films that the three flags ask for."""
    return tuple(suffix for suffix, wanted in ((".mp4", video or mp4), (".gif", video or gif)) if wanted)


def default_stem(plan: Plan) -> str:
    """Return the file name of a plan's picture, without suffix."""
    return f"{slug(plan.text)}-{plan.seed}"


def destination(out: Path, plan: Plan) -> tuple[Path, str]:
    """Return the folder and stem that `-o` means: those of a PNG file, or a folder and the default name."""
    check_out(out)
    if out.suffix.lower() == ".png" and not (lexists(out) and out.is_dir()):
        return out.parent, out.stem
    return out, default_stem(plan)


def check_out(out: Path) -> None:
    """Raise a UsageError if `-o` names a file of another format than PNG."""
    if out.suffix.lower() in _OTHER_FORMATS:
        raise UsageError(
            f"-o {out} is not a PNG file, and no other format is written yet; use -o {out.with_suffix('.png')}, with "
            "--mp4 or --gif for a film"
        )


def check_folder(out: Path, why: str = "a batch writes a picture for each line") -> None:
    """Raise a UsageError if `-o` names a file where many pictures need a folder."""
    if out.suffix.lower() in (_OTHER_FORMATS | {".png"}) and not (lexists(out) and out.is_dir()):
        raise UsageError(f"-o {out} is a file, and {why}; use -o FOLDER")
