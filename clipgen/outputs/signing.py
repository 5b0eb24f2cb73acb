"""Pictures, drawings and films signed by the C2PA standard (https://c2pa.org), with the user's own certificate.

The signed claim says that clipgen made the file and how it came to be, in IPTC's words; any later change of the file
breaks the signature. Nothing is asked of any server, unless the user names one for time stamps.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipgen import __version__
from clipgen.errors import ClipgenError, UsageError
from clipgen.outputs.xmp import TRAINED
from clipgen.util.regular import read_regular
from clipgen.util.text import one_line

MIMES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".mp4": "video/mp4",
    ".gif": "image/gif",
    ".apng": "image/png",
}
"""The formats with a place for a claim; WebM has none."""
MAX_PEM = 1_000_000
MAX_REASON = 200
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True)
class Signing:
    """Whose signature files get; those of the certificate and its key are read again for each."""

    certificate: Path
    """A PEM file of the certificate, followed by those that vouch for it."""
    key: Path
    """A PEM file of its private key, without a password."""
    time: str | None = None
    """Address of a server for time stamps (RFC 3161); None for no time stamp, and no request."""

    def check(self) -> None:
        """Raise a UsageError unless a picture can be signed now, by signing one of a single pixel, without its time."""
        if self.time and not self.time.startswith(("https://", "http://")):
            raise UsageError(f"--sign-time must be the address of a server, as in https://..., got {self.time!r}")
        from PIL import Image

        pixel = io.BytesIO()
        Image.new("RGB", (1, 1)).save(pixel, "PNG")
        try:
            Signing(self.certificate, self.key).signed(pixel.getvalue(), ".png", TRAINED)
        except UsageError:
            raise
        except ClipgenError as error:
            raise UsageError(f"--sign {self.certificate} cannot sign: {error}") from error

    def signed(self, plain: bytes, suffix: str, source: str) -> bytes:
        """Return a file with a signed claim; suffix: a key of `MIMES`. source: its DigitalSourceType.

        Raises UsageError for files that cannot be used, ClipgenError if the signing itself fails.
        """
        try:
            import c2pa
        except ImportError as error:
            raise UsageError(
                '--sign needs c2pa-python, which is not installed; use pip install "clipgen[c2pa]"'
            ) from error
        chain, key = _read(self.certificate, "--sign"), _read(self.key, "--sign-key")
        kind = getattr(c2pa.C2paSigningAlg, _algorithm(key, self.key))
        made = io.BytesIO()
        try:
            signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(kind, chain, key, self.time))
            with signer, c2pa.Context.from_dict(_OFFLINE) as context, c2pa.Builder(_claim(source), context) as builder:
                builder.sign(signer, MIMES[suffix], io.BytesIO(plain), made)
        except Exception as error:  # the library's own, and what its parts raise
            raise ClipgenError(one_line(str(error), MAX_REASON) or type(error).__name__) from error
        return made.getvalue()


def _claim(source: str) -> dict[str, Any]:
    created = {"action": "c2pa.created", "digitalSourceType": source}
    return {
        "claim_generator_info": [{"name": "clipgen", "version": __version__}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


def _read(path: Path, flag: str) -> bytes:
    try:
        data = read_regular(path.resolve(), MAX_PEM)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{flag} {path} cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if b"-----BEGIN" not in data or b"\0" in data:
        raise UsageError(f"{flag} {path} is no PEM file, which begins with -----BEGIN")
    return data


def _algorithm(key: bytes, path: Path) -> str:
    """Return C2PA's name of the algorithm that a private key signs by. Raises UsageError."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(key, password=None)
    except TypeError as error:
        raise UsageError(f"--sign-key {path} has a password; write a copy without: openssl pkey -in FILE") from error
    except Exception as error:  # a ValueError, or that of an algorithm that is not supported
        raise UsageError(f"--sign-key {path} holds no private key that can be read") from error
    if isinstance(found, ec.EllipticCurvePrivateKey) and found.curve.name in _CURVES:
        return _CURVES[found.curve.name]
    if isinstance(found, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(found, rsa.RSAPrivateKey):
        return "PS256"
    raise UsageError(f"--sign-key {path} is of a kind that C2PA does not use; it takes EC, Ed25519 and RSA keys")
