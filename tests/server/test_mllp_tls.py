"""The listener behind TLS: in the clear nothing is taken, and with --senders only from who shows a certificate."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.mllp_sender import END, START, journal_of, result_message, start_listener
from salus.errors import InputMissing, InputUnreadable
from salus.intake.mllp_tls import tls_context

NOW = datetime.now(UTC)


def certificate(folder: Path, name: str, *, above: tuple[Path, Path] | None = None) -> tuple[Path, Path]:
    """A certificate for this machine and its key as PEM files; signed by ``above``, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = called, key
    if above:
        issuer = x509.load_pem_x509_certificate(above[0].read_bytes()).subject
        signer = serialization.load_pem_private_key(above[1].read_bytes(), None)
    made = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=above is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    shown, secret = folder / f"{name}.pem", folder / f"{name}.key"
    shown.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return shown, secret


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """The hospital's authority, the listener's certificate, a sender's, and a stranger's of another authority."""
    folder = tmp_path_factory.mktemp("papers")
    authority, foreign = certificate(folder, "authority"), certificate(folder, "foreign")
    return {
        "authority": authority,
        "listener": certificate(folder, "listener", above=authority),
        "sender": certificate(folder, "sender", above=authority),
        "stranger": certificate(folder, "stranger", above=foreign),
    }


def context(papers, shows: str | None) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=papers["authority"][0])
    if shows:
        found.load_cert_chain(*papers[shows])
    return found


def answer(port: int, number: int, tls: ssl.SSLContext | None) -> bytes:
    """What the listener says to one message; empty where it says nothing."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        stream = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        stream.sendall(START + result_message(number).encode() + END)
        said = b""
        while not said.endswith(END) and (more := stream.recv(4096)):
            said += more
        stream.close()
        return said


def refuses(port: int, number: int, tls: ssl.SSLContext | None) -> bool:
    try:
        return not answer(port, number, tls)
    except (ssl.SSLError, ConnectionError):
        return True


def test_only_senders_with_a_certificate_of_the_hospital_are_heard(papers, tmp_path):
    shown, secret = papers["listener"]
    options = ("--certificate", shown, "--private-key", secret, "--senders", papers["authority"][0])
    listener = start_listener(tmp_path / "messages", *map(str, options))
    assert b"MSA|AA|1" in answer(listener.port, 1, context(papers, "sender"))
    assert refuses(listener.port, 2, context(papers, None))
    assert refuses(listener.port, 3, context(papers, "stranger"))
    assert refuses(listener.port, 4, None)
    assert b"MSA|AA|5" in answer(listener.port, 5, context(papers, "sender"))
    said = listener.stop()
    assert "Traceback" not in said
    assert list(journal_of(tmp_path / "messages")) == ["1", "5"]


def test_without_senders_anybody_may_send_but_not_in_the_clear(papers, tmp_path):
    shown, secret = papers["listener"]
    listener = start_listener(
        tmp_path / "messages", "--certificate", str(shown), "--private-key", str(secret)
    )
    assert b"MSA|AA|1" in answer(listener.port, 1, context(papers, None))
    assert refuses(listener.port, 2, None)
    listener.stop()
    assert list(journal_of(tmp_path / "messages")) == ["1"]


def test_tls_older_than_1_2_is_refused(papers):
    assert (
        tls_context(*papers["listener"][:1], key=papers["listener"][1]).minimum_version
        == ssl.TLSVersion.TLSv1_2
    )


def test_files_that_cannot_be_used_are_named_and_nothing_is_asked_at_a_keyboard(papers, tmp_path):
    shown, secret = papers["listener"]
    with pytest.raises(InputMissing, match=r"nowhere\.pem"):
        tls_context(tmp_path / "nowhere.pem")
    with pytest.raises(InputUnreadable, match="cannot be used for TLS"):
        tls_context(shown, key=papers["sender"][1])
    key = serialization.load_pem_private_key(secret.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password"),
        )
    )
    with pytest.raises(InputUnreadable, match=r"locked\.key"):
        tls_context(shown, key=locked)


def test_a_listener_without_a_certificate_of_its_own_says_what_to_give(papers, tmp_path):
    with pytest.raises(RuntimeError, match="--certificate FILE"):
        start_listener(tmp_path / "messages", "--senders", str(papers["authority"][0]))
