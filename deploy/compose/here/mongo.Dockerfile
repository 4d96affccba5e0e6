# MongoDB's wire, answering to the names `mongod` and `mongosh` as far as docker-compose.yml uses them.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG REQUIREMENTS
RUN python3 -m venv /opt/wire && /opt/wire/bin/pip install --no-cache-dir --quiet ${REQUIREMENTS} \
    && mkdir -p /data/db /data/configdb && chown 999:999 /data/db /data/configdb
COPY mongod.py /usr/local/bin/mongod
COPY mongosh.py /usr/local/bin/mongosh
USER 999:999
