"""The options that tell what is written and printed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from clipgen.cli.option_groups import Option, only, redeclared
from clipgen.cli.report import Notes, Results
from clipgen.cli.values import expanded
from clipgen.config.checks import check_choice
from clipgen.config.films import BY_STROKE, FPS, GIF_FPS, MAX_FPS, MAX_SECONDS, MIN_SECONDS, SECONDS, Timing
from clipgen.config.saving import FORMATS, MAX_QUALITY, QUALITY, Saving
from clipgen.errors import UsageError
from clipgen.outputs.signing import Signing
from clipgen.outputs.terminal import AUTO, PREVIEWS
from clipgen.session.naming import STEPS, film_suffixes, suffix_of
from clipgen.session.options import SAVE_SECONDS
from clipgen.session.options import OutputOptions as Written

OUTPUT = "Output"
DEFAULT_FOLDER = Path("outputs")

_RATES = ", ".join(f"{fps} as {suffix.removeprefix('.')}" for suffix, fps in FPS.items())


@dataclass(frozen=True)
class OutputOptions:
    """What is written and what is printed."""

    out: Annotated[
        Path,
        Option(
            "-o --out",
            "Where to write. Nothing is ever overwritten: a name that is taken gets a number.",
            "FILE.png|FILE.jpg|FILE.webp|FOLDER",
            panel=OUTPUT,
            default=f"{DEFAULT_FOLDER}/<prompt>-<seed>.png",
        ),
    ] = DEFAULT_FOLDER
    format: Annotated[
        str | None,
        Option(
            "--format",
            "Format of pictures that get their names in a folder.",
            choices=FORMATS,
            panel=OUTPUT,
            default=f"{FORMATS[0]}, or what -o FILE names",
        ),
    ] = None
    quality: Annotated[
        int | None,
        Option(
            "--quality",
            f"Of a picture as JPEG or WebP, from 1 to {MAX_QUALITY}: more is larger and nearer to what was made.",
            "NUMBER",
            panel=OUTPUT,
            default=f"{QUALITY}",
        ),
    ] = None
    video: Annotated[bool, Option("--video", "Also write films of the run, as MP4 and as GIF.", panel=OUTPUT)] = False
    mp4: Annotated[bool, Option("--mp4", "Also write the film as MP4.", panel=OUTPUT)] = False
    webm: Annotated[bool, Option("--webm", "Also write the film as WebM (VP9).", panel=OUTPUT)] = False
    gif: Annotated[bool, Option("--gif", "Also write the film as GIF.", panel=OUTPUT)] = False
    apng: Annotated[
        bool, Option("--apng", "Also write the film as animated PNG, which is lossless and large.", panel=OUTPUT)
    ] = False
    fps: Annotated[
        int | None,
        Option(
            "--fps",
            f"Frames a second of the films, from 1 to {MAX_FPS}; a GIF has {GIF_FPS} at most.",
            "NUMBER",
            panel=OUTPUT,
            default=f"{_RATES}; fewer if the run has few steps",
        ),
    ] = None
    film_length: Annotated[
        float | None,
        Option(
            "--film-length",
            f"Length of the films, from {MIN_SECONDS:g} to {MAX_SECONDS:g} seconds; then the picture is held for one "
            "more.",
            "SECONDS",
            panel=OUTPUT,
            default=f"{SECONDS:g}; less if the run has few steps",
        ),
    ] = None
    film_by_stroke: Annotated[
        bool,
        Option(
            BY_STROKE,
            "The films of --backend strokes draw the picture stroke by stroke, in place of the steps of the run.",
            panel=OUTPUT,
        ),
    ] = False
    save_every_step: Annotated[
        int | None,
        Option(
            "--save-every-step",
            "Also write the picture of every N-th step, the first and the last included, into a folder beside it, as "
            f"<prompt>-<seed>{STEPS}/000050.png.",
            "NUMBER",
            panel=OUTPUT,
            default="none",
        ),
    ] = None
    preview: Annotated[
        str,
        Option(
            "--preview",
            "The live picture in a terminal: by its graphics or, where it has none, in blocks; off: numbers alone.",
            choices=PREVIEWS,
            panel=OUTPUT,
        ),
    ] = AUTO
    as_json: Annotated[bool, Option("--json", "Print one JSON document instead of paths.", panel=OUTPUT)] = False
    quiet: Annotated[bool, Option("-q --quiet", "Print nothing but errors.", panel=OUTPUT)] = False
    no_metadata: Annotated[
        bool,
        Option(
            "--no-metadata",
            "Write no recipe into the picture: beside its pixels the file says only that a computer made it.",
            panel=OUTPUT,
        ),
    ] = False
    no_mark: Annotated[
        bool,
        Option(
            "--no-mark",
            "Do not write into pictures and films that a computer made them. By default they say so in XMP, as IPTC's "
            "DigitalSourceType, which laws on AI ask for and picture agencies and search engines read.",
            panel=OUTPUT,
        ),
    ] = False
    sign: Annotated[
        Path | None,
        Option(
            "--sign",
            "Sign what is written by the C2PA standard with your certificate, a PEM file with those that vouch for it.",
            "CERT.pem",
            panel=OUTPUT,
            default="no signature",
        ),
    ] = None
    sign_key: Annotated[
        Path | None,
        Option("--sign-key", "The private key of that certificate.", "KEY.pem", panel=OUTPUT, default="none"),
    ] = None
    sign_time: Annotated[
        str | None,
        Option(
            "--sign-time",
            "Ask this server for a time stamp of the signature (RFC 3161).",
            "URL",
            panel=OUTPUT,
            default="no time stamp, and no request to any server",
        ),
    ] = None
    save_every: Annotated[
        float,
        Option(
            "--save-every",
            "How often to save the state from which `clipgen resume` continues after a crash.",
            "SECONDS",
            panel=OUTPUT,
        ),
    ] = SAVE_SECONDS
    keep_state: Annotated[
        bool,
        Option(
            "--keep-state",
            "Keep that state after the run has finished, so that `clipgen resume` can add steps later.",
            panel=OUTPUT,
        ),
    ] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", expanded(self.out, "-o"))
        check_choice("--preview", self.preview, PREVIEWS)
        if self.format is not None:
            check_choice("--format", self.format, FORMATS)
        suffix = suffix_of(self.out, self._suffix)
        if self.format and suffix.replace("jpeg", "jpg") != self._suffix:
            raise UsageError(f"--format {self.format} and -o {self.out} name two formats; leave one of them out")
        signing = self.written().signing
        if signing:
            signing.check()
        if self.quality is not None:
            Saving(suffix, self.quality).check((1, 1))

    @property
    def _suffix(self) -> str:
        """The suffix of pictures in a folder."""
        return f".{self.format or FORMATS[0]}"

    def written(self) -> Written:
        """Return what a session is to write; raises UsageError for values that are out of range."""
        return Written(
            films=film_suffixes(video=self.video, mp4=self.mp4, webm=self.webm, gif=self.gif, apng=self.apng),
            metadata=not self.no_metadata,
            mark=not self.no_mark,
            suffix=self._suffix,
            quality=self.quality,
            signing=self._signing(),
            save_every=self.save_every,
            keep_state=self.keep_state,
            timing=Timing(self.fps, self.film_length, self.film_by_stroke),
            every_step=self.save_every_step,
        )

    def _signing(self) -> Signing | None:
        given = {"--sign": self.sign, "--sign-key": self.sign_key, "--sign-time": self.sign_time}
        if self.sign and self.sign_key:
            return Signing(expanded(self.sign, "--sign"), expanded(self.sign_key, "--sign-key"), self.sign_time)
        for flag in [flag for flag, value in given.items() if value is not None]:
            lacking = "--sign-key KEY.pem" if self.sign else "--sign CERT.pem --sign-key KEY.pem"
            raise UsageError(f"{flag} alone signs nothing; add {lacking}")
        return None

    def notes(self) -> Notes:
        """Return the printer of notes, on stderr."""
        return Notes(quiet=self.quiet or self.as_json)

    def results(self) -> Results:
        """Return the printer of results, on stdout."""
        return Results(as_json=self.as_json)


JsonOnly = Annotated[
    OutputOptions, only("as_json"), redeclared(as_json={"text": "Print one JSON document instead of lines."})
]
"""For commands that only print."""
