"""runtui trusts the same certificates on every Python, whatever the defaults of that Python are."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runtui.graph.network import tls_context

HOST = "graph.example"


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def issued(
    name: str, by: Identity | None = None, *, is_ca: bool = False, san: bool = True, aki: bool = True
) -> Identity:
    """Issue a certificate for `name`, signed by another one or by itself.

    Without `san` the name is only in the subject. Without `aki` the key identifiers are missing: RFC 5280 requires
    them, but company CAs often lack them.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    signer = by.key if by else key
    if aki:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(signed_by, critical=False)
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return Identity(builder.sign(signer, hashes.SHA256()), key)


def shake_hands(context: ssl.SSLContext, folder: Path, *chain: Identity) -> None:
    """Shake hands over TLS in memory with a server that presents `chain`, its own certificate first.

    Raises:
        ssl.SSLCertVerificationError: the client does not trust it.
    """
    path = folder / "server.pem"
    key = chain[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + b"".join(identity.pem for identity in chain))
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(path)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides: list[Any] = [
        context.wrap_bio(to_client, to_server, server_hostname=HOST),
        server_context.wrap_bio(to_server, to_client, server_side=True),
    ]
    for side in sides * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert sides[0].version()


@pytest.fixture(params=["bundle", "truststore"])
def of_system(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Simulate a system with a bundle of certificates, and one with a trust store that only truststore can query.

    Python is as strict by default as 3.13 is.
    """
    default_context = ssl.create_default_context

    def strict_context() -> ssl.SSLContext:
        context = default_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict_context)
    path = tmp_path / "system.pem"
    path.write_bytes(issued("Some CA", is_ca=True).pem if request.param == "bundle" else b"")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return str(request.param)


def context_with(folder: Path, *trusted: Identity) -> ssl.SSLContext:
    path = folder / "ca.pem"
    path.write_bytes(b"".join(identity.pem for identity in trusted))
    return tls_context(path)


def test_both_ways_to_the_trust_of_the_system_are_taken(of_system: str) -> None:
    assert (type(tls_context()) is ssl.SSLContext) is (of_system == "bundle")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSLKEYLOGFILE"])
def test_a_pipe_in_a_variable_of_openssl_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """OpenSSL would wait for the other end of a named pipe; it opens this one at once."""
    reader, writer = os.pipe()
    os.close(writer)
    monkeypatch.setenv(variable, f"/dev/fd/{reader}")
    with pytest.raises(OSError, match="It is not a regular file"):
        tls_context()
    os.close(reader)


@pytest.mark.usefixtures("of_system")
def test_a_ca_file_with_the_root_is_trusted(tmp_path: Path) -> None:
    root = issued("Company Root", is_ca=True)
    shake_hands(context_with(tmp_path, root), tmp_path, issued(HOST, root))


@pytest.mark.usefixtures("of_system")
def test_a_ca_file_with_the_issuing_authority_alone_is_trusted(tmp_path: Path) -> None:
    """Python 3.13 sets VERIFY_X509_PARTIAL_CHAIN by default, earlier versions do not."""
    root = issued("Company Root", is_ca=True)
    issuing = issued("Company Issuing CA", root, is_ca=True)
    shake_hands(context_with(tmp_path, issuing), tmp_path, issued(HOST, issuing), issuing)


@pytest.mark.usefixtures("of_system")
def test_a_ca_file_with_the_certificate_of_the_server_itself_is_trusted(tmp_path: Path) -> None:
    root = issued("Company Root", is_ca=True)
    server = issued(HOST, root)
    shake_hands(context_with(tmp_path, server), tmp_path, server)


@pytest.mark.usefixtures("of_system")
def test_a_company_ca_that_lacks_what_rfc_5280_asks_for_is_trusted(tmp_path: Path) -> None:
    """Python 3.13 sets VERIFY_X509_STRICT by default, earlier versions do not."""
    root = issued("Company Root", is_ca=True, aki=False)
    shake_hands(context_with(tmp_path, root), tmp_path, issued(HOST, root, aki=False))


@pytest.mark.usefixtures("of_system")
def test_an_unknown_certificate_is_not_trusted(tmp_path: Path) -> None:
    context = context_with(tmp_path, issued("Company Root", is_ca=True))
    with pytest.raises(ssl.SSLCertVerificationError, match="issuer"):
        shake_hands(context, tmp_path, issued(HOST, issued("Company Root", is_ca=True)))


@pytest.mark.usefixtures("of_system")
def test_a_name_in_the_subject_alone_is_no_name(tmp_path: Path) -> None:
    """RFC 9110, 4.3.4: subjectAltName identifies a server, not the common name."""
    root = issued("Company Root", is_ca=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(context_with(tmp_path, root), tmp_path, issued(HOST, root, san=False))
