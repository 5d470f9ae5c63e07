"""Certificates for the lab's clusters: authorities, and leaves with the uses that Kubernetes asks for.

What is asked of each certificate: https://kubernetes.io/docs/setup/best-practices/certificates/
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS: Final = 3650
# A clock that was set back a little must not make a new cluster's certificates invalid.
_EARLIER: Final = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, both in PEM. The key is a secret."""

    certificate_pem: str
    key_pem: str


@dataclass(frozen=True, slots=True)
class Authority(Issued):
    """A certificate that signs others, and its private key."""

    @classmethod
    def new(cls, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, ())
        certificate = (
            _builder(subject, key.public_key())
            .issuer_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(_certificate_pem(certificate), private_key_pem(key))

    def client(self, name: str, groups: Sequence[str] = ()) -> Issued:
        """For a client: Kubernetes takes the common name for its user, the organizations for its groups."""
        return self._leaf(_name(name, groups), [ExtendedKeyUsageOID.CLIENT_AUTH], (), ())

    def server(self, name: str, hosts: Sequence[str], addresses: Sequence[str], groups: Sequence[str] = ()) -> Issued:
        """For a server that is reached by these host names and IP addresses."""
        return self._leaf(_name(name, groups), [ExtendedKeyUsageOID.SERVER_AUTH], hosts, addresses)

    def peer(self, name: str, hosts: Sequence[str], addresses: Sequence[str]) -> Issued:
        """For one that is a server and a client, as etcd is to itself."""
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._leaf(_name(name, ()), uses, hosts, addresses)

    def _leaf(
        self, subject: x509.Name, uses: list[x509.ObjectIdentifier], hosts: Sequence[str], addresses: Sequence[str]
    ) -> Issued:
        own = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        signer = serialization.load_pem_private_key(self.key_pem.encode(), None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError(
                f"the authority's key is a {type(signer).__name__}; `Authority.new` makes elliptic-curve keys"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, key.public_key())
            .issuer_name(own.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        names = [*map(x509.DNSName, hosts), *(x509.IPAddress(IPv4Address(each)) for each in addresses)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Issued(_certificate_pem(builder.sign(signer, hashes.SHA256())), private_key_pem(key))


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The keys that service accounts' tokens are signed and checked with, in PEM."""

    private_pem: str
    public_pem: str

    @classmethod
    def new(cls) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(private_key_pem(key), public.decode())


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """The key as programs in Go read it, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _name(name: str, groups: Sequence[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    made = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - _EARLIER
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(made)
        .not_valid_after(made + datetime.timedelta(days=DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
