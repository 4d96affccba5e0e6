"""A real Apache Kafka for tests: one node in KRaft mode.

Where it comes from, in this order: `NIJA_TEST_KAFKA` (bootstrap servers of one that runs already), a
container where Docker and the image are there, the JVM with jars from Maven (`tools/kafka/pom.xml`, kept in
`.tools/kafka`). `python -m nija_common.testing.kafka` fetches the jars ahead of the tests.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from nija_common.testing.processes import Server, Unavailable, free_ports

REPOSITORY = Path(__file__).resolve().parents[5]
IMAGE = os.environ.get("NIJA_TEST_KAFKA_IMAGE", "apache/kafka:4.1.0")
CLUSTER = "bmlqYS10ZXN0LWthZmthMA"
READY = "Kafka Server started"

# C1 only and one collector thread: a test's broker should start fast, not run long.
JAVA = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A member that a test kills is missed after a second, not after six.
group.min.session.timeout.ms=500
# Hundreds of small partitions: no 10 MB index file and no 128 MB cleaner buffer for them.
log.index.size.max.bytes=65536
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=200
# After a SIGKILL the node is let in again only when its former session has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
"""

LOGGING = """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
"""


def launch(folder: Path, port: int | None = None) -> Server:
    """A broker in `folder`, not yet started. Raises `Unavailable`."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "server.properties").exists() and port is not None:
        return Server(folder, port, _command(folder), _is_ready)
    free, controller = free_ports(2)
    port = port or free
    properties = PROPERTIES.format(port=port, controller=controller, folder=folder)
    (folder / "server.properties").write_text(properties)
    (folder / "log4j2.properties").write_text(LOGGING)
    return Server(folder, port, _command(folder), _is_ready)


def _is_ready(server: Server) -> bool:
    return READY in server.log


def _command(folder: Path) -> list[str]:
    """Formats the data folder where it is new, then becomes the broker (`exec`: signals reach it)."""
    if container_possible():
        name = f"nija-kafka-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        shell = (
            f"[ -e {folder}/data/meta.properties ] || /opt/kafka/bin/kafka-storage.sh format"
            f" -t {CLUSTER} -c {folder}/server.properties && exec /opt/kafka/bin/kafka-server-start.sh"
            f" {folder}/server.properties"
        )
        user = f"{os.getuid()}:{os.getgid()}"
        mounts = ["--network", "host", "--user", user, "-v", f"{folder}:{folder}"]
        return ["docker", "run", "--rm", "--init", "--name", name, *mounts, "--entrypoint", "sh", IMAGE, "-c", shell]
    java = " ".join(["java", *JAVA, f"-Dlog4j2.configurationFile={folder}/log4j2.properties", "-cp", f"'{jars()}/*'"])
    shell = (
        f"[ -e '{folder}/data/meta.properties' ] || {java} kafka.tools.StorageTool format"
        f" -t {CLUSTER} -c '{folder}/server.properties' && exec {java} kafka.Kafka '{folder}/server.properties'"
    )
    return ["sh", "-c", shell]


@functools.cache
def container_possible() -> bool:
    """Whether Docker answers and has the image already: nothing is pulled in the middle of a test."""
    if shutil.which("docker") is None:
        return False
    found = subprocess.run(
        ["docker", "image", "inspect", IMAGE],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=20,
    )
    return found.returncode == 0


@functools.cache
def jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven if they are not there yet. Raises `Unavailable`."""
    pom = REPOSITORY / "tools/kafka/pom.xml"
    if not pom.exists():
        raise Unavailable("tools/kafka/pom.xml is not there: tests with Kafka run from the repository")
    version = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    folder = REPOSITORY / ".tools/kafka" / version
    if folder.exists():
        _need("java")
        return folder
    _need("java")
    _need("mvn")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(pom, folder)
    return folder


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise Unavailable(f"no {program} on PATH (and no NIJA_TEST_KAFKA, no container image {IMAGE})")


def _fetch(pom: Path, folder: Path) -> None:
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0 or not list(draft.glob("kafka_*.jar")):
        raise Unavailable(f"Maven could not fetch Kafka: {(done.stdout + done.stderr)[-2000:]}")
    draft.replace(folder)


def main() -> int:
    """Makes ready what the tests will need, and says where their Kafka comes from."""
    given = os.environ.get("NIJA_TEST_KAFKA")
    if given:
        print(f"Kafka for the tests: {given}")  # noqa: T201 - a command's answer
        return 0
    if container_possible():
        print(f"Kafka for the tests: a container of {IMAGE}")  # noqa: T201
        return 0
    try:
        print(f"Kafka for the tests: the JVM with {jars()}")  # noqa: T201
    except Unavailable as reason:
        print(f"NO Kafka for the tests, those that need it are SKIPPED: {reason}", file=sys.stderr)  # noqa: T201
        return 1 if in_ci() else 0
    return 0


def in_ci() -> bool:
    """Whether a missing part is a failure instead of a skip."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


if __name__ == "__main__":
    sys.exit(main())
