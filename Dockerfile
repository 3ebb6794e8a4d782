# The base image, whose digest Dependabot renews: it does not read build arguments.
ARG PYTHON_IMAGE=pinned
FROM python:3.14-slim@sha256:f85c5697265c178cc6887276c55fe16cf3d14ca35c3df6a5eab3b360534a55d2 AS pinned

# hadolint ignore=DL3006 # the version is above
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python3 -m venv /opt/reelay
# deploy/tracing/requirements.txt for traces: docs/metrics.md.
ARG REQUIREMENTS=requirements.txt
COPY ${REQUIREMENTS} requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/reelay/bin/pip install --no-compile --require-hashes --only-binary=:all: -r requirements.txt \
 && /opt/reelay/bin/pip uninstall --yes pip
COPY service /opt/reelay/app/service
# By hashes: a rebuild gives the same files, whatever the time.
RUN /opt/reelay/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/reelay/lib /opt/reelay/app

# hadolint ignore=DL3006 # as above
FROM ${PYTHON_IMAGE}
# Remove the base image's package installers, and all setuid and setgid bits. The installers are
# found by path, because Python's own images and Debian's packages have them in different places.
RUN find / -xdev \( -path '*/python3*/ensurepip' -o -path '*-packages/pip' -o -path '*-packages/pip-*' \
        -o -path '*-packages/setuptools*' -o -path '*-packages/wheel*' -o -path '*/share/python-wheels' \
        -o -path '*/bin/pip' -o -path '*/bin/pip[0-9]*' \) -prune -exec rm -rf {} + \
 && find / -xdev -perm /6000 -exec chmod a-s {} +
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Reelay" \
      org.opencontainers.image.description="Puts a folder of videos on the web" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# SOURCE_DATE_EPOCH: /etc/shadow has no day of the build.
RUN groupadd --system --gid 10001 reelay \
 && SOURCE_DATE_EPOCH=0 useradd --system --uid 10001 --gid reelay --home-dir /nonexistent --shell /usr/sbin/nologin reelay \
 && mkdir -p /media /var/cache/reelay /var/lib/reelay \
 && chown reelay:reelay /var/cache/reelay /var/lib/reelay \
 && chmod 750 /var/lib/reelay
COPY --from=build /opt/reelay /opt/reelay
# The library of a container without a mounted folder.
COPY media /media
COPY LICENSE THIRD-PARTY.md /usr/share/doc/reelay/

# MALLOC_ARENA_MAX: as the service sets it for itself, for its workers, too.
# PYDANTIC_DISABLE_PLUGINS: to find plugins, each process would read the metadata of all packages.
ENV PATH=/opt/reelay/bin:$PATH \
    PYTHONPATH=/opt/reelay/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    PYDANTIC_DISABLE_PLUGINS=1 \
    PORT=8000 \
    REELAY_MEDIA=/media \
    REELAY_DERIVED=/var/cache/reelay \
    REELAY_STATE=/var/lib/reelay
WORKDIR /opt/reelay/app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --start-interval=0.5s \
    CMD ["python", "-m", "service.cli.healthcheck"]
CMD ["python", "-m", "service"]
