"""Pictures are signed with a certificate of the user's, as the library's own reader says; what cannot be is kept."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import Cli
from PIL import Image
from recipes import assert_refused
from test_footage import frames_of
from test_resume import SMALL, stop_at

from clipgen.config.films import FPS
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.outputs.signing import MIMES, Signing
from clipgen.outputs.svg import is_whole_svg
from clipgen.outputs.whole import is_whole_film
from clipgen.outputs.xmp import COMPOSITE, TRAINED

c2pa = pytest.importorskip("c2pa", reason="clipgen[c2pa] is not installed")
x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa  # noqa: E402

KEYS = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
}
SIGNED = ("--sign", "cert.pem", "--sign-key", "key.pem")
SYSTEM = x509.NameOID


def certificate(name: str, issuer: str, public: Any, signer: Any, days: float, *, is_root: bool) -> bytes:
    said = [x509.NameAttribute(SYSTEM.ORGANIZATION_NAME, "a test")]
    names = [x509.Name([*said, x509.NameAttribute(SYSTEM.COMMON_NAME, each)]) for each in (name, issuer)]
    now = datetime.now(UTC)
    usage = x509.KeyUsage(True, False, False, False, False, is_root, is_root, False, False)
    built = (
        x509.CertificateBuilder(names[1], names[0], public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_root, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        .add_extension(usage, True)
    )
    if not is_root:
        built = built.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return bytes(built.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def write_pair(kind: str = "es256", days: float = 30, password: bytes | None = None) -> Any:
    """Write cert.pem and key.pem: a certificate and the root that vouches for it, which nobody else knows."""
    key, root = KEYS[kind](), KEYS["es256"]()
    chain = certificate("leaf", "root", key.public_key(), root, days, is_root=False)
    Path("cert.pem").write_bytes(chain + certificate("root", "root", root.public_key(), root, 30, is_root=True))
    write_key(key, password)
    return key


def write_key(key: Any, password: bytes | None = None, name: str = "key.pem") -> None:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
    Path(name).write_bytes(pem)


def verified(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """What the library's own reader says of a file."""
    data = io.BytesIO(path.read_bytes() if content is None else content)
    with c2pa.Reader(MIMES[path.suffix], data) as reader:
        return dict(json.loads(reader.json()))


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_the_signature_is_valid_until_a_pixel_changes(cli: Cli, name: str, kind: str) -> None:
    write_pair(kind)
    made = cli(*SMALL, *SIGNED, "-o", name)
    assert made.exit_code == 0, made.stderr
    path = Path(name)
    found = verified(path)
    assert found["validation_state"] == "Valid"
    assert {row["code"] for row in found.get("validation_status", [])} <= {"signingCredential.untrusted"}
    claim = found["manifests"][found["active_manifest"]]
    assert claim["claim_generator_info"][0]["name"] == "clipgen"
    [action] = claim["assertions"][0]["data"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", TRAINED)
    assert "time" not in claim["signature_info"]
    assert read_recipe(path).plan.seed == 1
    with Image.open(path) as image:
        image.load()
    data = bytearray(path.read_bytes())
    data[data.rindex(b"IDAT") + 8 if path.suffix == ".png" else -20] ^= 1
    assert verified(path, bytes(data))["validation_state"] == "Invalid"


DRAWN = ("--backend", "strokes", "--strokes", "8", "--mp4", "--gif", "--apng")


def test_drawings_and_films_are_signed_and_can_be_shown(cli: Cli) -> None:
    write_pair()
    made = cli(*SMALL, *DRAWN, "--webm", *SIGNED, "-o", "a.png")
    assert made.exit_code == 0, made.stderr
    assert "a.webm is not signed: films in this format have no place for a signature" in made.stderr
    assert "a.mp4 is not signed" not in made.stderr
    for path in (Path(f"a{suffix}") for suffix in (".png", ".svg", ".mp4", ".gif", ".apng")):
        data = path.read_bytes()
        assert verified(path)["validation_state"] == "Valid", path
        assert verified(path, data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])["validation_state"] == "Invalid", path
    assert is_whole_svg(Path("a.svg"))
    assert all(is_whole_film(Path("a").with_suffix(suffix)) for suffix in FPS)
    last = frames_of(Path("a.mp4"))[-1].mean()
    with Image.open("a.gif") as gif, Image.open("a.apng") as apng:
        for shown in (gif, apng):
            shown.seek(shown.n_frames - 1)  # type: ignore[attr-defined]
            assert np.asarray(shown.convert("RGB")).mean() == pytest.approx(last, abs=3)


def test_drawings_and_films_whose_signature_fails_are_signed_by_resume(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair()
    with monkeypatch.context() as patch:
        patch.setattr(Signing, "check", lambda self: write_pair(days=-1))
        failed = cli(*SMALL, *DRAWN, *SIGNED, "-o", "a.png")
    assert failed.exit_code == 1
    assert "the drawing a.svg is not signed: " in failed.stderr
    assert "the film a.mp4 is not signed: " in failed.stderr
    assert is_whole_film(Path("a.mp4"))
    write_pair()
    assert cli("resume", "a.png", *SIGNED).exit_code == 0
    for suffix in (".png", ".svg", ".mp4", ".gif", ".apng"):
        assert verified(Path(f"a{suffix}"))["validation_state"] == "Valid"


def test_a_photograph_makes_the_claim_a_composite(cli: Cli) -> None:
    write_pair()
    Image.new("RGB", (32, 32), "red").save("photo.png")
    assert cli(*SMALL, *SIGNED, "--init", "photo.png", "-o", "a.png").exit_code == 0
    assert COMPOSITE in json.dumps(verified(Path("a.png")))


@pytest.mark.parametrize(
    ("prepare", "args", "said"),
    [
        (lambda: write_pair(days=-1), SIGNED, "the certificate was not valid at time of signing"),
        (lambda: (write_pair(), write_key(KEYS["es256"]())), SIGNED, "--sign cert.pem cannot sign"),
        (lambda: (write_pair(), write_key(KEYS["ed25519"]())), SIGNED, "--sign cert.pem cannot sign"),
        (lambda: write_pair(password=b"secret"), SIGNED, "--sign-key key.pem has a password"),
        (lambda: write_pair(), ("--sign", "no.pem", "--sign-key", "key.pem"), "--sign no.pem cannot be read"),
        (lambda: write_pair(), ("--sign", "cert.pem", "--sign-key", "no.pem"), "--sign-key no.pem cannot be read"),
        (lambda: write_pair(), ("--sign", "cert.pem"), "--sign alone signs nothing; add --sign-key KEY.pem"),
        (lambda: write_pair(), ("--sign-key", "key.pem"), "--sign-key alone signs nothing; add --sign CERT.pem"),
        (lambda: write_pair(), (*SIGNED, "--sign-time", "file:///etc"), "--sign-time must be the address of a server"),
        (lambda: (write_pair(), Path("key.pem").write_text("x")), SIGNED, "--sign-key key.pem is no PEM file"),
        (lambda: (write_pair(), Path("cert.pem").write_bytes(b"\0" * 2_000_000)), SIGNED, "--sign cert.pem cannot be"),
        (lambda: (write_pair(), write_key(dsa.generate_private_key(1024))), SIGNED, "of a kind that C2PA does not use"),
    ],
)
def test_what_cannot_sign_is_one_line_before_the_run(cli: Cli, prepare: Any, args: tuple[str, ...], said: str) -> None:
    prepare()
    assert_refused(cli(*SMALL, *args, "-o", "a.png"), said)
    assert not Path("a.png").exists()


def test_a_signature_that_fails_in_the_end_leaves_the_picture_which_resume_signs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair()
    with monkeypatch.context() as patch:
        patch.setattr(Signing, "check", lambda self: write_pair(days=-1))
        failed = cli(*SMALL, *SIGNED, "-o", "a.png")
    assert failed.exit_code == 1
    assert "the picture a.png is not signed: " in failed.stderr
    assert "the certificate was not valid at time of signing" in failed.stderr
    assert read_recipe(Path("a.png")).steps_done == 12
    write_pair()
    assert cli("resume", "a.png", *SIGNED).exit_code == 0
    assert verified(Path("a.png"))["validation_state"] == "Valid"


def test_a_stopped_picture_is_signed_as_well(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair()
    stop_at(monkeypatch, 5)
    assert cli(*SMALL, *SIGNED, "-o", "a.jpg").exit_code == 130
    assert verified(Path("a.jpg"))["validation_state"] == "Valid"


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(UsageError, match=r'use pip install "clipgen\[c2pa\]"'):
        Signing(tmp_path / "a", tmp_path / "b").check()
