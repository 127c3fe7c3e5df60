"""A certificate authority for one test run, and what servers and clients need of it as files."""

import datetime
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


class Authority:
    """Made anew, trusted by nobody who is not given `ca_file`, gone with the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = trustme.CA(key_type=trustme.KeyType.RSA)
        self.ca_file = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca_file)

    def certificate(self, *names: str, expired: bool = False, password: str = "") -> Path:
        """A PEM file for a server or a client of these names or addresses: its key (PKCS #8, which Kafka asks for;
        encrypted under a password), then the chain."""
        until = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if expired else None
        issued = self._ca.issue_cert(*names, not_after=until, key_type=trustme.KeyType.RSA)
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption(),
        )
        path = self._directory / f"{'-'.join(names)}{'-expired' * expired}{'-locked' * bool(password)}.pem"
        path.touch(0o600)
        path.write_bytes(key + b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return path
