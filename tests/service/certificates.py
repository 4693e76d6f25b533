"""Certificates that vouch for themselves, good and bad ones; for tests."""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec

from helpers.service.tls import Tls


def new_certificate(
    name: str, folder: Path, starts: float = 0, days: float = 30
) -> Tls:
    """Make a key and a certificate that vouches for itself.

    Args:
        name: of a host, such as 127.0.0.1, or of a client, such as line-4.
        folder: gets the files name.pem and name.key, readable for their owner only.
        starts: days from now until it is valid; -2: since two days ago.
        days: how long it is valid.

    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    try:
        host: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        host = x509.DNSName(name)
    begins = datetime.now(UTC) + timedelta(days=starts, minutes=-5)  # clocks differ
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = Tls(folder / f"{name}.pem", folder / f"{name}.key")
    pem, plain = form.Encoding.PEM, form.NoEncryption()
    secret = key.private_bytes(pem, form.PrivateFormat.PKCS8, plain)
    public = certificate.public_bytes(pem)
    for path, content in ((files.certificate, public), (files.key, secret)):
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    return files
