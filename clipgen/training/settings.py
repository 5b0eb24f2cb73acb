"""What is asked of a training on captioned pictures, checked, and what is taken where nothing is asked. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipgen.config.checks import check_choice, check_whole, checked_number
from clipgen.config.settings import PRECISIONS
from clipgen.errors import UsageError
from clipgen.util.files import slug

SMALL, MEDIUM = SIZES = ("small", "medium")
RESOLUTIONS = {SMALL: 64, MEDIUM: 128}
MAX_RESOLUTION = 512
STEP = 16
"""Resolutions are multiples of it."""
WORK = "training"
"""The folder, inside the preset's, for prepared pictures, states, logs and samples."""


@dataclass(frozen=True)
class Course:
    """How long and how fast a kind of network is trained at a size, unless asked otherwise."""

    steps: int
    batch: int
    rate: float
    average: float = 0.998


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of network before torch is."""

    make: str
    """"module:name" of what takes a `clipgen.training.task.Bench` and a plan, and returns a `Task`."""
    courses: dict[str, Course]
    brief: bool = True
    """Whether it is trained in bfloat16 where the device has it."""
    stored: str = ""
    """The kind of its weight file, if that has another name."""


KINDS: dict[str, Kind] = {
    "clip": Kind(
        "clipgen.training.clip:ClipTask", {SMALL: Course(2000, 64, 0.0015), MEDIUM: Course(12_000, 256, 0.001)}
    ),
    "vqgan": Kind(
        "clipgen.training.autoencoders:VQGANTask",
        {SMALL: Course(3000, 16, 0.0012), MEDIUM: Course(20_000, 16, 0.0008)},
    ),
    "dvae": Kind(
        "clipgen.training.autoencoders:DVAETask",
        {SMALL: Course(3000, 16, 0.0008), MEDIUM: Course(20_000, 16, 0.0006)},
        brief=False,
    ),
    "prior": Kind(
        "clipgen.training.prior:PriorTask",
        {SMALL: Course(3000, 32, 0.001), MEDIUM: Course(40_000, 128, 0.0005)},
        stored="token-prior",
    ),
}
"""By the name that `clipgen train NAME --data` takes."""

FINE_STEPS, FINE_RATE = 0.25, 0.1
"""Shares of a course's steps and rate for a network that is fine-tuned."""
LARGE, LARGE_RATE = 50_000_000, 1e-5
"""Numbers in a network that is fine-tuned more gently, and the rate."""


@dataclass(frozen=True)
class Settings:
    """A training that was asked for; None takes the default of the kind and the size."""

    kind: str
    data: Path
    out: Path
    size: str = SMALL
    resolution: int | None = None
    steps: int | None = None
    minutes: float | None = None
    batch: int | None = None
    rate: float | None = None
    seed: int = 0
    start: str | None = None
    """A network to start at: a name such as starter/vqgan, or a file."""
    radius: float | None = None
    """L2 norm of the adversarial perturbations of a CLIP's views, at the end; 0 has none."""
    flip: bool = False
    precision: str | None = None
    patience: int = 0
    """Checks on the held-out pictures without an improvement that end the training; 0 never does."""
    sheet_minutes: float = 10.0

    def __post_init__(self) -> None:
        check_choice("NAME", self.kind, tuple(KINDS))
        check_choice("--size", self.size, SIZES)
        if self.resolution is not None:
            check_whole("--resolution", self.resolution, STEP, MAX_RESOLUTION)
            if self.resolution % STEP:
                raise UsageError(f"--resolution must be a multiple of {STEP}, got {self.resolution}")
        if self.steps is not None and self.minutes is not None:
            raise UsageError(f"--steps {self.steps} and --minutes {self.minutes:g} both say how long: give one")
        for flag, whole, low, high in (
            ("--steps", self.steps, 1, 10_000_000),
            ("--batch", self.batch, 2, 65_536),
            ("--seed", self.seed, 0, 2**31),
            ("--patience", self.patience, 0, 1000),
        ):
            if whole is not None:
                check_whole(flag, whole, low, high)
        for flag, number, least, most in (
            ("--minutes", self.minutes, 0.01, 100_000),
            ("--lr", self.rate, 1e-8, 1),
            ("--radius", self.radius, 0, 100),
            ("--sheets", self.sheet_minutes, 0.01, 100_000),
        ):
            if number is not None:
                checked_number(flag, number, least, most)
        if self.precision is not None:
            check_choice("--precision", self.precision, PRECISIONS)
        if self.kind == "prior" and self.start is not None:
            raise UsageError(f"--from {self.start}: a prior always learns from the beginning; leave it out")
        if self.kind != "clip" and self.radius is not None:
            raise UsageError(f"--radius is for the views of a CLIP; leave it out for a {self.kind}")

    @property
    def side(self) -> int:
        """The side of the pictures in pixels."""
        return self.resolution or RESOLUTIONS[self.size]

    @property
    def work(self) -> Path:
        """The folder of what the training keeps for itself."""
        return self.out / WORK / self.kind

    @property
    def weights(self) -> Path:
        """The file of the trained network."""
        return self.out / f"{self.kind}.safetensors"

    @property
    def command(self) -> str:
        """The command that asks for such a network."""
        return f"clipgen train {self.kind} --data {self.data} --out {self.out}"

    def told(self) -> dict[str, Any]:
        """Return, as JSON values, the settings on which the weights depend."""
        left_out = ("data", "out", "sheet_minutes", "precision")
        return {name: value for name, value in asdict(self).items() if name not in left_out}


def default_out(data: Path) -> Path:
    """Return the folder for what is trained on `data`: in the current one, named after it."""
    return Path(f"{slug(data.absolute().stem)}-clipgen")
