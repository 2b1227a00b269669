"""Whom to trust: the one TLS context that every client of this program uses.

Invariant: a certificate is always verified. What the operating system trusts is trusted, and a file of one's own
besides; there is no way to switch that off. The rules are the same on every Python, whatever its own defaults are.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Trust in what the operating system trusts, and in the certificates of `ca_file` (PEM) besides.

    Reads files, some 20 ms: call it in a thread.

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    context = _system_trust()
    # A file with the issuing authority, or with the server's certificate itself, is enough: its root is often not at
    # hand. By itself Python asks for that from 3.13 on.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Company authorities often lack the key identifiers that RFC 5280 asks for; Python refuses those from 3.13 on.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # RFC 9110, 4.3.4: a server's name is in subjectAltName. OpenSSL would take the common name where there is none.
    context.hostname_checks_common_name = False
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def no_trust() -> ssl.SSLContext:
    """A context that trusts nobody, for a client that never speaks TLS: it costs nothing to make."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _system_trust() -> ssl.SSLContext:
    if sys.platform == "linux":
        context = ssl.create_default_context()
        # With a bundle loaded once, here: truststore would load it again for each connection, on the event loop.
        if context.get_ca_certs():
            return context
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
