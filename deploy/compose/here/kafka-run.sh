#!/bin/bash
# Kafka's own start scripts as far as docker-compose.yml uses them; this file has both their names.
case $0 in
    *kafka-storage.sh) main=kafka.tools.StorageTool options= ;;
    *kafka-server-start.sh) main=kafka.Kafka options=${KAFKA_HEAP_OPTS:-} ;;
    *) echo "$0: not a name of Kafka's" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086
exec java $options ${KAFKA_LOG4J_OPTS:-} -cp '/opt/kafka/libs/*' "$main" "$@"
