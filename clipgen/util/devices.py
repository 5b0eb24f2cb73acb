"""The torch device that `--device` selects on this machine."""

import re

from clipgen.errors import UsageError, unknown_value


def pick_device(text: str) -> str:
    """Return the torch device that `text` selects: auto, cpu, cuda or cuda:N; raises UsageError if there is none."""
    wish = re.fullmatch(r"auto|cpu|cuda(?::([0-9]{1,3}))?", text)
    if wish is None:
        raise unknown_value("--device", text, ("auto", "cpu", "cuda", "cuda:0"))
    if text == "cpu":
        return text
    gpus = gpu_count()
    if text == "auto":
        return "cuda" if gpus else "cpu"
    if not gpus:
        raise UsageError(f"--device {text}: torch finds no GPU on this machine; use --device cpu or --device auto")
    if int(wish[1] or 0) >= gpus:
        raise UsageError(f"--device {text}: this machine has only cuda:0 to cuda:{gpus - 1}")
    return text


def gpu_count() -> int:
    """Return the number of GPUs that torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
