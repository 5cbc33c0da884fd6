"""TLS for MLLP: a certificate by which senders know the listener, and by which it knows them."""

from __future__ import annotations

import ssl
from pathlib import Path

from salus.errors import InputMissing, InputUnreadable

HANDSHAKE_SECONDS = 10.0


def tls_context(certificate: Path, *, key: Path | None = None, senders: Path | None = None) -> ssl.SSLContext:
    """What the listener shows and asks: TLS 1.2 or later (IHE ATNA, ITI TF-2 §3.19), PEM files.

    ``certificate`` holds the listener's own and those above it; ``key`` its private key, where that is not in the same
    file. ``senders``: the authorities of certificates that senders must show; without it anybody may send.
    Raises InputMissing (SAL-104) or InputUnreadable (SAL-105).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key, senders):
        if path is not None and not path.is_file():
            raise InputMissing(
                f"there is no file '{path.name}'",
                where=str(path),
                fix="name a file in PEM form that this account may read",
            )
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _unreadable(
            key or certificate, "certificate and key in PEM form that belong together"
        ) from error
    if senders is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(senders)
        except (ssl.SSLError, OSError) as error:
            raise _unreadable(senders, "certificates of authorities in PEM form") from error
    return context


def _no_password() -> str:
    """A key behind a password would make the listener wait for somebody at a keyboard."""
    raise ValueError("the key is behind a password")


def _unreadable(path: Path, wanted: str) -> InputUnreadable:
    return InputUnreadable(
        f"'{path.name}' cannot be used for TLS",
        where=str(path),
        fix=f"give {wanted}; a key without a password, for nobody but this account to read (chmod 600)",
    )
