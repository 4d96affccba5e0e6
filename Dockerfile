# The platform's images. One build, two targets:
#
#   platform   any role: `serve NAME`, `migrate`, `admin …`; on Kafka and MongoDB
#   embedded   the whole platform in one process on the folder /data: `up`
#
#   docker build --target embedded -t nija-embedded . && docker run --rm --read-only -p 127.0.0.1:8000:8000 nija-embedded
#
# BASE_IMAGE has Python 3.11 or newer as `python3`, with its `venv` module. Nothing here needs BuildKit. Running needs no
# shell: entry point and health check are programs, so RUNTIME_IMAGE may be one without; the same Python at the same path is
# all it has to bring.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG RUNTIME_IMAGE=${BASE_IMAGE}

FROM ${BASE_IMAGE} AS build
ARG UV_VERSION=0.13.9
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet uv==${UV_VERSION}
# Compiled here, once, and never checked against its source: at run time nothing can be written, so whatever is not compiled
# would be compiled again at every start (ccxt alone: five seconds).
ENV UV_PROJECT_ENVIRONMENT=/opt/nija \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
WORKDIR /src
# What others wrote, in a layer of its own: it changes with the lock file only.
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --quiet --frozen --no-dev --no-install-workspace
COPY libs ./libs
COPY services ./services
COPY apps ./apps
COPY sdks/python ./sdks/python
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --no-editable --package nija
# Empty folders, for volumes to take their owner from.
RUN mkdir -p /made/data /made/keys && chmod 700 /made/data /made/keys

FROM ${RUNTIME_IMAGE} AS platform
# Slim images come without the standard library's bytecode.
RUN ["python3", "-c", "import compileall, re, sysconfig; compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=2, rx=re.compile('/(site|dist)-packages/|/test/|/tests/|/idlelib/|/lib2to3/|/ensurepip/'))"]
COPY --from=build /opt/nija /opt/nija
COPY --from=build --chown=10001:10001 /made/data /data
COPY --from=build --chown=10001:10001 /made/keys /keys
ENV PATH=/opt/nija/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    NIJA_DATA_DIR=/data
WORKDIR /data
USER 10001:10001
EXPOSE 8000
# A process answers /livez only after it has read its topics and reached its store: alive is ready at the start. How long
# that may take is no measure of health: on a busy machine it was minutes, and who waits for it (Compose) must not give up.
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "nija_common.http.probe", "http://127.0.0.1:8000/livez"]
ENTRYPOINT ["nija"]
CMD ["--help"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="NIJA platform" \
      org.opencontainers.image.description="NIJA: trading bots for many users. Any role of the platform, on Kafka and MongoDB." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM platform AS embedded
ENV NIJA_PUBLIC_URL=http://127.0.0.1:8000
VOLUME ["/data"]
CMD ["up", "--host", "0.0.0.0", "--port", "8000"]
LABEL org.opencontainers.image.title="NIJA embedded" \
      org.opencontainers.image.description="NIJA: trading bots for many users. The whole platform in one process on one folder."
