# Apache Kafka laid out as in the image apache/kafka, from the jars that Maven fetched (tools/kafka/pom.xml).
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null && rm -rf /var/lib/apt/lists/*
RUN mkdir -p /var/lib/kafka/data && chown 1000:1000 /var/lib/kafka/data
COPY bin /opt/kafka/bin
COPY libs /opt/kafka/libs
USER 1000:1000
