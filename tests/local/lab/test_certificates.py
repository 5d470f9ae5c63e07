"""Certificates of the lab's clusters."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from model_factory.local.lab.certificates import Authority, Issued, KeyPair


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("kubernetes-ca")


def _read(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate_pem.encode())


class TestAuthority:
    def test_signs_what_it_issues(self, authority: Authority) -> None:
        for issued in (authority.client("a"), authority.server("b", ["localhost"], []), authority.peer("c", [], [])):
            _read(issued).verify_directly_issued_by(_read(authority))

    def test_does_not_sign_for_another_authority_of_its_name(self, authority: Authority) -> None:
        stranger = Authority.new("kubernetes-ca")
        with pytest.raises(Exception):  # noqa: B017, PT011  whatever cryptography says of a signature that is not valid
            _read(authority.client("a")).verify_directly_issued_by(_read(stranger))

    def test_may_sign_and_its_leaves_may_not(self, authority: Authority) -> None:
        for issued, signs in ((authority, True), (authority.client("a"), False)):
            constraints = _read(issued).extensions.get_extension_for_class(x509.BasicConstraints)
            assert constraints.critical
            assert constraints.value.ca is signs
            usage = _read(issued).extensions.get_extension_for_class(x509.KeyUsage).value
            assert usage.key_cert_sign is signs

    def test_each_certificate_has_its_own_key_and_number(self, authority: Authority) -> None:
        first, second = authority.client("a"), authority.client("a")
        assert first.key_pem != second.key_pem
        assert _read(first).serial_number != _read(second).serial_number

    def test_key_fits_its_certificate(self, authority: Authority) -> None:
        issued = authority.client("a")
        key = serialization.load_pem_private_key(issued.key_pem.encode(), None)
        assert key.public_key() == _read(issued).public_key()


class TestClientCertificate:
    def test_carries_user_and_groups(self, authority: Authority) -> None:
        subject = _read(authority.client("system:node:n1", ["system:nodes"])).subject
        assert [each.value for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["system:node:n1"]
        assert [each.value for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["system:nodes"]

    def test_serves_nothing(self, authority: Authority) -> None:
        uses = _read(authority.client("a")).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]


class TestServingCertificate:
    def test_is_good_for_its_names_and_addresses_alone(self, authority: Authority) -> None:
        certificate = _read(authority.server("api", ["localhost", "kubernetes"], ["127.0.0.1"]))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["localhost", "kubernetes"]
        assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]

    def test_proves_no_client(self, authority: Authority) -> None:
        """Else a node's serving certificate would be a way into the API."""
        uses = _read(authority.server("api", [], [])).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH]

    def test_holds_already_and_outlives_the_lab(self, authority: Authority) -> None:
        certificate, now = _read(authority.server("api", [], [])), datetime.datetime.now(datetime.UTC)
        assert certificate.not_valid_before_utc < now
        assert certificate.not_valid_after_utc > now + datetime.timedelta(days=365)


class TestServiceAccountKeys:
    def test_public_key_checks_what_the_private_signed(self) -> None:
        pair = KeyPair.new()
        private = serialization.load_pem_private_key(pair.private_pem.encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        assert private.public_key() == serialization.load_pem_public_key(pair.public_pem.encode())
