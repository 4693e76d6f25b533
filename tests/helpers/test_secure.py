"""Sealed files and signed models: every bad one is refused, and says why."""

import json
import os
import secrets
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from helpers import DataError, InputError, ModelError, Router, load_router
from helpers.router import MODELS
from helpers.secure import SETTING, SIGNATURE, decrypt, encrypt, sign_model

KEY = bytes(range(32))
TEXT = b"replace blown hose on boom" * 40
TODAY = datetime.now(UTC).date()


# --- sealed files


@pytest.mark.parametrize("data", [b"", b"\0", TEXT, os.urandom(100_000)])
def test_a_sealed_file_opens_with_its_key_and_name(data):
    sealed = encrypt(data, KEY, "orders.csv")
    assert decrypt(sealed, KEY, "orders.csv") == data
    assert data not in sealed or not data.strip(b"\0")


def test_no_nonce_comes_twice():
    sealed = {encrypt(TEXT, KEY, "a")[15:27] for _ in range(1000)}
    assert len(sealed) == 1000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: (s, secrets.token_bytes(32), "a"), "a cannot be opened: the key is"),
        (lambda s: (s, KEY, "b"), "b cannot be opened: .*another name"),
        (lambda s: (s[:-1], KEY, "a"), "a cannot be opened: .*was cut"),
        (lambda s: (s[: len(s) // 2], KEY, "a"), "a cannot be opened"),
        (lambda s: (s + b"x", KEY, "a"), "a cannot be opened: .*changed"),
        (lambda s: (s[:40], KEY, "a"), "a is cut: only 40 bytes are left"),
        (lambda s: (s[:15], KEY, "a"), "a is cut: only 15 bytes"),
        (lambda s: (b"", KEY, "a"), "a is not a sealed file"),
        (lambda s: (TEXT, KEY, "a"), "a is not a sealed file: it begins b'replace"),
        (lambda s: (b"P" + s[1:], KEY, "a"), "a is not a sealed file"),
    ],
)
def test_a_bad_sealed_file(change, said):
    with pytest.raises(DataError, match=said):
        decrypt(*change(encrypt(TEXT, KEY, "a")))


def test_every_flipped_bit_is_refused():
    sealed = encrypt(TEXT[:50], KEY, "a")
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(DataError):
            decrypt(bytes(changed), KEY, "a")


def test_two_sealed_files_cannot_be_swapped_or_joined():
    one, two = (encrypt(text, KEY, name) for text, name in ((TEXT, "a"), (b"x", "b")))
    for sealed, name in ((one, "b"), (two, "a"), (one[:27] + two[27:], "b")):
        with pytest.raises(DataError, match="cannot be opened"):
            decrypt(sealed, KEY, name)


@pytest.mark.parametrize("key", [b"", b"short", KEY[:16], KEY + b"x", "x" * 32, None])
def test_a_key_that_is_none(key):
    for call in encrypt, decrypt:
        given = TEXT if call is encrypt else encrypt(TEXT, KEY, "a")
        with pytest.raises(InputError, match="A key is 32 bytes, not"):
            call(given, key, "a")


# --- signed models


@pytest.fixture(scope="module")
def plant():
    return Ed25519PrivateKey.generate()


@pytest.fixture
def folder(tmp_path, monkeypatch, plant):
    """A signed copy of a model, and a router that wants the plant's signature."""
    for name in "electrician", "crew":
        load_router(name)
    copy = tmp_path / "electrician"
    shutil.copytree(MODELS / "electrician", copy)
    sign_model(copy, plant, TODAY + timedelta(1))
    monkeypatch.setenv(SETTING, plant.public_key().public_bytes_raw().hex())
    return copy


def card_of(folder):
    return json.loads((folder / "model.json").read_text("utf-8"))


def write_card(folder, card):
    (folder / "model.json").write_text(json.dumps(card), "utf-8")


def test_a_signed_model_is_loaded(folder, plant):
    assert Router(folder).labels == card_of(folder)["labels"]
    sign_model(folder, plant, TODAY)  # its last day
    assert Router(folder).route("lights u/s").label == "electrician"


def change_labels(folder, plant):
    write_card(folder, card_of(folder) | {"labels": ["electrician", "no electrician"]})


def other_network(folder, plant):
    (folder / "network.onnx").write_bytes(b"another network")


def other_network_and_card(folder, plant):
    from helpers.data import sha256

    (folder / "network.onnx").write_bytes(b"another network")
    new = sha256(folder / "network.onnx")
    write_card(folder, card_of(folder) | {"network_sha256": new})


def stranger(folder, plant):
    sign_model(folder, Ed25519PrivateKey.generate(), TODAY + timedelta(1))


def prolonged(folder, plant):
    path = folder / SIGNATURE
    path.write_text(path.read_text().replace(str(TODAY + timedelta(1)), "2999-01-01"))


def swapped(folder, plant):
    """The signature of another model of the plant, with that model."""
    other = folder.with_name("crew")
    shutil.copytree(MODELS / "crew", other)
    sign_model(other, plant, TODAY + timedelta(1))
    shutil.rmtree(folder)
    other.rename(folder)


def rewrite(text):
    return lambda folder, plant: (folder / SIGNATURE).write_bytes(text)


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (lambda f, p: (f / SIGNATURE).unlink(), r"it has no signature \(model.sig\)"),
        (change_labels, "model.json was changed after it was signed"),
        (other_network_and_card, "model.json was changed after it was signed"),
        (other_network, "network.onnx does not belong to model.json"),
        (stranger, "another key has signed it"),
        (prolonged, "another key has signed it, or the statement was changed"),
        (swapped, "it is signed as 'crew', not as 'electrician'"),
        (lambda f, p: sign_model(f, p, TODAY - timedelta(1)), "its signature ended on"),
        (rewrite(b""), "model.sig is cut or damaged"),
        (rewrite(b"{}\n"), "model.sig is cut or damaged"),
        (rewrite(b"{}\nxyz\n"), "model.sig is cut or damaged"),
        (rewrite(b"\xff\xfe\n\n"), "model.sig is cut or damaged"),
        (rewrite(b"{}\nabcd\n"), "another key has signed it"),
    ],
)
def test_a_model_is_refused(folder, plant, attack, said):
    attack(folder, plant)
    with pytest.raises(ModelError, match=said):
        Router(folder)


def test_a_cut_signature(folder):
    whole = (folder / SIGNATURE).read_text()
    for length in range(0, len(whole) - 2, 17):
        (folder / SIGNATURE).write_text(whole[:length])
        with pytest.raises(ModelError, match="damaged|another key"):
            Router(folder)


@pytest.mark.parametrize("key", ["x", "ab" * 31, "ab" * 33, "zz" * 32])
def test_a_public_key_that_is_none(folder, monkeypatch, key):
    monkeypatch.setenv(SETTING, key)
    with pytest.raises(ModelError, match="is not a key of 64 hexadecimal digits"):
        Router(folder)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_public_key_any_model_is_loaded(folder, monkeypatch, value):
    monkeypatch.delenv(SETTING)
    if value is not None:
        monkeypatch.setenv(SETTING, value)
    (folder / SIGNATURE).unlink()
    assert Router(folder).labels


def test_a_model_that_was_trained_here_must_be_signed_too(folder):
    with pytest.raises(ModelError, match=r"no signature.*Sign it again, or unset"):
        load_router("electrician")
