import socket
import ssl
import threading
from pathlib import Path

import pytest

from local.certificates import CertificateAuthority, ServerCertificate


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path, "test")


def handshake(certificate: ServerCertificate, trusted: Path, host: str) -> str | None:
    """The TLS version that a client and a server with these agree on."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.chain, certificate.key)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True):
                pass
        except (ssl.SSLError, OSError):
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client = ssl.create_default_context(cafile=str(trusted))
        # As strict as Python 3.13 is by default.
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        with client.wrap_socket(ours, server_hostname=host) as secured:
            return secured.version()
    finally:
        ours.close()
        thread.join(5)


@pytest.mark.parametrize("host", ["gateway.example.com", "127.0.0.1", "localhost"])
def test_a_client_that_trusts_the_authority_accepts_each_host(
    authority: CertificateAuthority, host: str
) -> None:
    issued = authority.issue("server", ["gateway.example.com", "localhost", "127.0.0.1"])
    assert handshake(issued, authority.certificate_file, host) == "TLSv1.3"


def test_a_host_that_is_not_in_the_certificate_is_refused(authority: CertificateAuthority) -> None:
    issued = authority.issue("server", ["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, authority.certificate_file, "127.0.0.1")


def test_another_authority_is_not_trusted(authority: CertificateAuthority, tmp_path: Path) -> None:
    other = CertificateAuthority(tmp_path / "other", "other")
    issued = authority.issue("server", ["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, other.certificate_file, "localhost")


def test_the_trust_store_holds_the_public_authorities_too(authority: CertificateAuthority) -> None:
    issued = authority.issue("server", ["localhost"])
    store = authority.write_trust_store()
    assert handshake(issued, store, "localhost") == "TLSv1.3"
    assert store.read_text().count("BEGIN CERTIFICATE") > 100


def test_a_key_is_readable_by_its_owner_only(authority: CertificateAuthority) -> None:
    assert authority.issue("server", ["localhost"]).key.stat().st_mode & 0o777 == 0o600
