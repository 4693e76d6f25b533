"""TLS for the local service; chapter 09 makes a certificate for the occasion."""

import asyncio.constants
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from helpers.errors import CourseError

HANDSHAKE = 10.0  # seconds for it; uvicorn would wait for a minute


class Tls(NamedTuple):
    """Files in PEM form; clients: certificates of those who alone may connect."""

    certificate: Path
    key: Path
    clients: Path | None = None  # None: anybody, with or without a certificate


def server_side(tls: Tls) -> ssl.SSLContext:
    """What a server needs to know.

    Raises:
        CourseError: a file is missing, damaged or of another key, or it has expired.

    """
    from cryptography import x509

    asyncio.constants.SSL_HANDSHAKE_TIMEOUT = HANDSHAKE  # of this process
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: b"")
        if tls.clients:
            context.load_verify_locations(tls.clients)
            context.verify_mode = ssl.CERT_REQUIRED
        own = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        files = ", ".join(str(file) for file in tls if file)
        reason = getattr(error, "reason", None) or error
        raise CourseError(f"TLS cannot use {files}: {reason}.") from error
    if own.not_valid_after_utc < datetime.now(UTC):
        ended = f"{own.not_valid_after_utc:%Y-%m-%d}"
        raise CourseError(f"{tls.certificate} expired on {ended}. Renew it.")
    return context


def client_side(trusted: Path, own: Tls | None = None) -> ssl.SSLContext:
    """What a client needs to know: whom it trusts, and with `own` who it is itself."""
    context = ssl.create_default_context(cafile=trusted)
    if own:
        context.load_cert_chain(own.certificate, own.key)
    return context
