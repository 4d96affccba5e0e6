"""A broker that speaks TLS alone and asks for a name and a password (SCRAM-SHA-512), as managed ones and Strimzi's do.

NIJA_TEST_LONG=1 runs it: it needs a broker of its own. `tests/unit/test_kafka_access.py` shows what clients are given.
"""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from nija_common.bus.kafka import KafkaBus
from nija_common.bus.kafka_access import Access
from nija_common.bus.port import BusUnavailable, Message, TopicPartition
from nija_common.events.topics import USERS, parked_topic
from nija_common.testing import kafka
from nija_common.testing.fixtures_infra import missing
from nija_common.testing.long_run import only_long
from nija_common.testing.processes import Unavailable, free_ports

pytestmark = [
    pytest.mark.kafka,
    only_long("a broker of its own"),
]

LISTENERS = """
listeners=LOGIN://127.0.0.1:{port},INSIDE://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=LOGIN://127.0.0.1:{port},INSIDE://127.0.0.1:{inside}
inter.broker.listener.name=INSIDE
listener.security.protocol.map=LOGIN:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.certificate.chain={certificate}
ssl.keystore.key={key}
"""


@dataclass(frozen=True)
class Broker:
    bootstrap: str
    access: Access


class FromTheBeginning:
    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        return


def _identity() -> tuple[str, str]:
    """Key and certificate of 127.0.0.1, which signs itself, in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _one_line(pem: str) -> str:
    return pem.strip().replace("\n", "\\n")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("login")
    port, inside, controller = free_ports(3)
    key, certificate = _identity()
    kept = [
        line
        for line in kafka.PROPERTIES.format(port=port, controller=controller, folder=folder).splitlines()
        if not line.startswith(("listeners=", "advertised.listeners=", "listener.security."))
    ]
    login = LISTENERS.format(
        port=port, inside=inside, controller=controller, certificate=_one_line(certificate), key=_one_line(key)
    )
    (folder / "server.properties").write_text("\n".join(kept) + login)
    (folder / "log4j2.properties").write_text(kafka.LOGGING)
    try:
        subprocess.run(
            [
                *("java", "-cp", f"{kafka.jars()}/*", f"-Dlog4j2.configurationFile={folder}/log4j2.properties"),
                *("kafka.tools.StorageTool", "format", "-t", kafka.CLUSTER, "-c", str(folder / "server.properties")),
                *("--add-scram", "SCRAM-SHA-512=[name=nija,password=right]"),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
    except Unavailable as reason:
        missing("Kafka", reason)
        return
    server = kafka.launch(folder, port)
    server.start()
    try:
        yield Broker(f"127.0.0.1:{port}", Access("SASL_SSL", "SCRAM-SHA-512", "nija", "right", certificate))
    finally:
        server.end()


async def test_every_kind_of_client_works_with_the_right_login(broker: Broker) -> None:
    place = TopicPartition(USERS.name, 3)
    message = Message(place.topic, place.partition, "usr_1", b"{}", {})
    async with KafkaBus.open(broker.bootstrap, access=broker.access) as bus:
        await bus.ensure([USERS, parked_topic("billing")])
        assert await bus.differences([USERS, parked_topic("billing")]) == []
        await bus.send([message])
        async with bus.state_publisher("auth-state") as publisher:
            await publisher.publish([message])
        # Two messages, and the mark that ends the transaction.
        assert await bus.ends([place]) == {place: 3}
        async with bus.read({place: 0}) as reader:
            assert [record.value for record in await reader.poll(10, 5.0)] == [b"{}", b"{}"]
        async with bus.join("billing.consumer", [USERS.name], FromTheBeginning()) as member:
            found: list[bytes] = []
            while len(found) < 2:
                found += [record.value for record in await member.poll(10, 1.0)]
            await member.commit({place: member.position(place)})
        assert await bus.committed("billing.consumer", [place]) == {place: 3}


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"ca": None}, {"protocol": "PLAINTEXT", "mechanism": None}],
    ids=["password", "authority", "no TLS"],
)
async def test_a_wrong_login_is_unavailable_and_says_no_password(broker: Broker, wrong: dict[str, str | None]) -> None:
    access = replace(broker.access, **wrong)  # type: ignore[arg-type]
    async with KafkaBus.open(broker.bootstrap, access=access) as bus:
        with pytest.raises(BusUnavailable) as caught:
            await bus.ends([TopicPartition(USERS.name, 0)])
    assert "right" not in str(caught.value)
