"""Files that only the plant can read (AES-GCM), models that it signed (Ed25519).

Where the environment variable COURSE_PUBLIC_KEY holds a public key (64 hexadecimal
digits), helpers.Router loads a model only if the plant has signed it with the private
one. Sources: NIST SP 800-38D (GCM), RFC 8032 (Ed25519).
"""

import hashlib
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

from helpers.errors import DataError, InputError, ModelError

SETTING = "COURSE_PUBLIC_KEY"
SIGNATURE = "model.sig"  # in the folder of a model: the statement, then its signature
MAGIC = b"plant-sealed-1\n"  # how a sealed file begins
NONCE, TAG = 12, 16  # bytes


def encrypt(data: bytes, key: bytes, name: str) -> bytes:
    """Seal the content of a file, with a new random nonce each time.

    Args:
        data: what nobody else shall read.
        key: 32 random bytes, secrets.token_bytes(32); kept elsewhere than the file.
        name: of the file; it is not hidden, but a sealed file opens only under it.

    Raises:
        InputError: a key that is not 32 bytes.

    """
    nonce = os.urandom(NONCE)
    return MAGIC + nonce + _cipher(key).encrypt(nonce, data, MAGIC + name.encode())


def decrypt(sealed: bytes, key: bytes, name: str) -> bytes:
    """What encrypt was given; all of it or nothing.

    Raises:
        DataError: not a sealed file, cut, changed, another key, or another name.
        InputError: a key that is not 32 bytes.

    """
    cipher, start = _cipher(key), len(MAGIC) + NONCE
    if not sealed.startswith(MAGIC):
        raise DataError(f"{name} is not a sealed file: it begins {sealed[:15]!r}.")
    if len(sealed) < start + TAG:
        raise DataError(f"{name} is cut: only {len(sealed)} bytes are left. Copy anew.")
    from cryptography.exceptions import InvalidTag

    try:
        nonce = sealed[len(MAGIC) : start]
        return cipher.decrypt(nonce, sealed[start:], MAGIC + name.encode())
    except InvalidTag:
        raise DataError(
            f"{name} cannot be opened: the key is another one, or the file was cut, "
            "changed, or has been given another name. Take the copy of the backup."
        ) from None


def _cipher(key: bytes):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not isinstance(key, bytes) or len(key) != 32:
        size = len(key) if isinstance(key, bytes) else type(key).__name__
        raise InputError(f"A key is 32 bytes, not {size}: secrets.token_bytes(32).")
    return AESGCM(key)


def sign_model(folder: Path, private_key, until: date) -> Path:
    """Sign a saved model: its name, its content, and how long this holds.

    model.json holds the SHA-256 of network.onnx, so its own covers both.

    Args:
        folder: of the model; the router loads it under this name only.
        private_key: an Ed25519PrivateKey of the library cryptography.
        until: the last day (UTC) on which the router takes it.

    Returns:
        The path of the signature.

    Raises:
        OSError: model.json cannot be read, or the signature not be written.

    """
    card = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    said = {"model": folder.name, "until": until.isoformat(), "model.json": card}
    statement = json.dumps(said)
    signature = private_key.sign(statement.encode()).hex()
    path = folder / SIGNATURE
    path.write_text(f"{statement}\n{signature}\n", "utf-8")
    return path


def verify_model(folder: Path, card: bytes) -> None:
    """Let a model pass if no public key is configured, or if the plant signed it.

    Args:
        folder: of the model.
        card: the content of model.json that will be used; not read a second time.

    Raises:
        ModelError: not signed, damaged, another signer, name or content, or too late.

    """
    public = os.environ.get(SETTING, "").strip()
    if public:
        problem = _problem(folder, card, public)
        if problem:
            advice = f"Sign it again, or unset {SETTING} to load any model."
            raise ModelError(f"The model in {folder} is refused: {problem}. {advice}")


def _problem(folder: Path, card: bytes, public: str) -> str:
    """What is wrong with a signature; "" if nothing is."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    except ValueError:
        return f"{SETTING}={public!r:.20} is not a key of 64 hexadecimal digits"
    try:
        statement, signature = (folder / SIGNATURE).read_text("utf-8").splitlines()
        key.verify(bytes.fromhex(signature), statement.encode())
        said = json.loads(statement)
    except FileNotFoundError:
        return f"it has no signature ({SIGNATURE})"
    except (OSError, ValueError):
        return f"{SIGNATURE} is cut or damaged"
    except InvalidSignature:
        return "another key has signed it, or the statement was changed"
    if said["model"] != folder.name:
        return f"it is signed as {said['model']!r}, not as {folder.name!r}"
    if said["model.json"] != hashlib.sha256(card).hexdigest():
        return "model.json was changed after it was signed"
    if said["until"] < datetime.now(UTC).date().isoformat():
        return f"its signature ended on {said['until']}"
    return ""
