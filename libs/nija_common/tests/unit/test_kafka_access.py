"""Kafka's settings become the arguments of its clients; halves of a login and certificates that are none are refused."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nija_common.errors import SettingsError
from nija_common.runtime.infrastructure import kafka_access, open_infrastructure
from nija_common.runtime.settings import PlatformSettings, load
from nija_common.values.clock import SystemClock

LOGIN = {
    "NIJA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "NIJA_KAFKA__USERNAME": "nija",
    "NIJA_KAFKA__PASSWORD": "s3cret",
}


def authority() -> str:
    """An authority of this test's own, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "brokers of a test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def test_without_settings_clients_name_nobody_and_encrypt_nothing() -> None:
    assert kafka_access(load(PlatformSettings, {}).kafka).options() == {"security_protocol": "PLAINTEXT"}


def test_a_login_over_tls_reaches_the_clients_and_trusts_the_authority_in_the_file(tmp_path: Path) -> None:
    pem = authority()
    (tmp_path / "ca.crt").write_text(pem)
    settings = load(PlatformSettings, {**LOGIN, "NIJA_KAFKA__CA_FILE": str(tmp_path / "ca.crt")})
    options = kafka_access(settings.kafka).options()
    context = options.pop("ssl_context")
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "nija",
        "sasl_plain_password": "s3cret",
    }
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    trusted = context.get_ca_certs()
    assert [one["subject"] for one in trusted] == [((("commonName", "brokers of a test"),),)]


def test_an_empty_authority_file_means_the_systems(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("")
    settings = load(PlatformSettings, {**LOGIN, "NIJA_KAFKA__CA_FILE": str(tmp_path / "ca.crt")})
    context = kafka_access(settings.kafka).options()["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"NIJA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL"}, "needs USERNAME and PASSWORD"),
        ({"NIJA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "NIJA_KAFKA__USERNAME": "nija"}, "needs USERNAME and PASSWORD"),
        ({"NIJA_KAFKA__USERNAME": "nija", "NIJA_KAFKA__PASSWORD": "s3cret"}, "are for SASL"),
        ({"NIJA_KAFKA__CA": "x"}, "CA is for SSL"),
        ({"NIJA_KAFKA__SECURITY_PROTOCOL": "TLS"}, "Input should be"),
        ({**LOGIN, "NIJA_KAFKA__SASL_MECHANISM": "GSSAPI"}, "Input should be"),
    ],
)
def test_halves_are_refused_by_name_and_secrets_stay_unsaid(env: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=rf"^NIJA_KAFKA.*{reason}") as caught:
        load(PlatformSettings, env)
    assert "s3cret" not in str(caught.value)


def test_the_password_is_in_no_representation() -> None:
    settings = load(PlatformSettings, LOGIN).kafka
    assert "s3cret" not in repr(settings) + repr(kafka_access(settings))


async def test_a_file_that_is_no_certificate_stops_the_start_with_its_name(tmp_path: Path) -> None:
    env = {
        "NIJA_STORE": "sqlite",
        "NIJA_BUS": "kafka",
        "NIJA_DATA_DIR": str(tmp_path / "data"),
        "NIJA_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "NIJA_KAFKA__SECURITY_PROTOCOL": "SSL",
        "NIJA_KAFKA__CA": "no certificate",
    }
    with pytest.raises(SettingsError, match=r"^NIJA_KAFKA__CA: not a certificate"):
        async with open_infrastructure(load(PlatformSettings, env), SystemClock()):
            raise AssertionError("opened all the same")
