"""Films of other people: what they are, and their frames, read one by one."""

from __future__ import annotations

import io
import re
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import Image

from clipgen.errors import ClipgenError, UsageError
from clipgen.outputs.ffmpeg import describe, read
from clipgen.util.images import MAX_PIXELS
from clipgen.util.text import one_line, quoted

USUAL_FPS = Fraction(25)
MAX_FPS = 240
MAX_REASON = 120
COPIED = ("aac", "mp3")
"""Sound that an MP4 takes as it is."""
_WAY_OUT = "use an MP4, MOV, MKV, WebM, AVI or GIF"
_CHUNK = 1 << 20
_MAX_PNG = 1 << 30


@dataclass(frozen=True)
class VideoSource:
    """A film, without its frames."""

    path: Path
    size: tuple[int, int]
    """Width and height as they are shown."""
    fps: Fraction
    seconds: float | None
    """How long it lasts, if it says so."""
    sound: str
    """The kind of its sound, such as "aac"; empty without any."""

    @classmethod
    def open(cls, path: Path) -> VideoSource:
        """Return what a film is; raises UsageError, which says why, if it cannot be read or has no frames."""
        _check_file(path)
        try:
            said = describe(path)
            streams = re.findall(r"^\s*Stream #[^\n]*? (Video|Audio): ([^\n]*)", said, re.MULTILINE)
            if not streams:
                reason = one_line(said.strip().rpartition("\n")[2].rpartition(": ")[2], MAX_REASON)
                raise _refusal(path, f"is not a film that can be read ({reason}); {_WAY_OUT}")
            pictures = [text for kind, text in streams if kind == "Video" and "attached pic" not in text]
            if not pictures:
                raise _refusal(path, "has sound and no pictures; name a film")
            size = _first_frame(path)
        except OSError as error:
            raise _refusal(path, f"cannot be read ({one_line(str(error), MAX_REASON)}); {_WAY_OUT}") from error
        sounds = [text for kind, text in streams if kind == "Audio"]
        return cls(path, size, _rate(pictures[0]), _duration(said), sounds[0].split()[0].strip(",") if sounds else "")

    def frames(self, size: tuple[int, int], every: int = 1) -> Generator[Image.Image, None, None]:
        """Yield the frames in order, each filling `size` (width, height); every: take only every so many.

        Only a few are in memory. Raises ClipgenError if the film is damaged.
        """
        width, height = size
        fill = f"scale={width}:{height}:force_original_aspect_ratio=increase:flags=lanczos,crop={width}:{height}"
        filters = f"fps={self.fps},select='not(mod(n\\,{every}))',scale=iw*sar:ih,setsar=1,{fill}"
        target = ("-map", "0:v:0", "-vf", filters, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24")
        try:
            for piece in read(self.path, target, 3 * width * height):
                if len(piece) == 3 * width * height:
                    yield Image.frombytes("RGB", size, piece)
        except OSError as error:
            raise ClipgenError(f"the film {quoted(str(self.path))} cannot be read any further ({error})") from error

    def count(self, every: int = 1) -> int | None:
        """Return about how many frames `frames` yields, if the film says how long it lasts."""
        return None if self.seconds is None else max(round(self.seconds * self.fps / every), 1)


def _first_frame(path: Path) -> tuple[int, int]:
    """Return width and height of the first frame, upright; raises UsageError if there is none."""
    target = ("-map", "0:v:0", "-vf", "scale=iw*sar:ih,setsar=1", "-frames:v", "1", "-c:v", "png", "-f", "image2pipe")
    content = b""
    for piece in read(path, target, _CHUNK):
        content += piece
        if len(content) > _MAX_PNG:
            break
    if not content:
        raise _refusal(path, "has no frames")
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        width, height = image.size
    if width * height > MAX_PIXELS:
        raise _refusal(path, f"has frames of more than {MAX_PIXELS // 10**6} megapixels; shrink it first")
    return width, height


def _rate(stream: str) -> Fraction:
    """Return the frames of a second; ffmpeg rounds those of NTSC, 30000/1001, to 29.97."""
    found = re.search(r"([0-9]+(?:\.[0-9]+)?) (?:fps|tbr)\b", stream)
    fps = Fraction(found[1]) if found else USUAL_FPS
    whole = Fraction(round(fps * Fraction(1001, 1000)) * 1000, 1001)
    fps = whole if fps.denominator > 1 and abs(whole - fps) < Fraction(1, 100) else fps
    return fps if 0 < fps <= MAX_FPS else USUAL_FPS


def _duration(said: str) -> float | None:
    found = re.search(r"Duration: ([0-9]+):([0-9]{2}):([0-9.]+)", said)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _check_file(path: Path) -> None:
    """Refuse anything but a regular file; pipes and devices could block for ever."""
    try:
        if path.is_file():
            return
        there = path.exists()
    except (OSError, ValueError) as error:
        raise _refusal(path, f"cannot be opened ({error}); check the path") from error
    raise _refusal(path, "is not a file; name a film" if there else "does not exist; check the path")


def _refusal(path: Path, reason: str) -> UsageError:
    return UsageError(f"{quoted(str(path))} {reason}")
