"""Statements that somebody signed: in-toto Statement v1 inside a DSSE v1 envelope, by Ed25519 (RFC 8032).

A signature says which key signed which bytes. Whose key that is, whoever checks must know from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from salus.errors import SignatureWrong, SigningKeyTrouble

STATEMENT, PAYLOAD = "https://in-toto.io/Statement/v1", "application/vnd.in-toto+json"
OTHERS = 0o077
MAKE_ONE = "openssl genpkey -algorithm ed25519 -out KEY && chmod 600 KEY"


def statement(subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, object]) -> bytes:
    """What is signed. ``subjects``: name -> SHA-256 of what the predicate is said about."""
    told = {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())
        ],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def before_signing(payload: bytes, kind: str = PAYLOAD) -> bytes:
    """The bytes that are really signed: type and payload, each with its length (DSSE v1, PAE).

    >>> before_signing(b"hello world", "http://example.com/HelloWorld")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    told = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(told), told, len(payload), payload)


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """A private key in PEM that nobody else can read. Raises SigningKeyTrouble (SAL-613)."""
    try:
        content, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise _trouble(path, "cannot be read", f"make one: {MAKE_ONE}") from error
    if mode & OTHERS:
        raise _trouble(path, f"can be read by others (mode {mode:o})", f"chmod 600 {path}")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise _trouble(
            path, "is no private key in PEM without a passphrase", f"make one: {MAKE_ONE}"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _trouble(path, "is of another kind than Ed25519", f"make one: {MAKE_ONE}")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """A public key in PEM. Raises SigningKeyTrouble (SAL-613)."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _trouble(path, "is no public key in PEM", "openssl pkey -in KEY -pubout -out FILE") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _trouble(path, "is of another kind than Ed25519", "openssl pkey -in KEY -pubout -out FILE")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public key as a file holds it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Ed25519PublicKey) -> str:
    """The name of a key: SHA-256 of its DER form."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def signed(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """The envelope of a statement, as a file holds it."""
    signature = key.sign(before_signing(payload))
    told = {
        "payloadType": PAYLOAD,
        "payload": b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": b64encode(signature).decode()}],
    }
    return (json.dumps(told, indent=1) + "\n").encode()


def opened(envelope: bytes, key: Ed25519PublicKey, *, where: str) -> dict[str, object]:
    """The statement in an envelope that ``key`` has signed. Raises SignatureWrong (SAL-614)."""
    try:
        told = json.loads(envelope)
        payload, kind = b64decode(told["payload"], validate=True), str(told["payloadType"])
        signatures = [b64decode(one["sig"], validate=True) for one in told["signatures"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _wrong("the record is cut short or of another form", where) from error
    if kind != PAYLOAD or not any(_is_by(key, signature, payload) for signature in signatures):
        raise _wrong("the record was not signed by this key, or was changed afterwards", where)
    found: dict[str, object] = json.loads(payload)
    return found


def _is_by(key: Ed25519PublicKey, signature: bytes, payload: bytes) -> bool:
    try:
        key.verify(signature, before_signing(payload))
    except InvalidSignature:
        return False
    return True


def _trouble(path: Path, what: str, fix: str) -> SigningKeyTrouble:
    return SigningKeyTrouble(f"the key '{path.name}' {what}", where=str(path), fix=fix)


def _wrong(what: str, where: str) -> SignatureWrong:
    return SignatureWrong(
        what, where=where, fix="ask whoever released it for the folder as it was, or do not use it"
    )
