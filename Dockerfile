# One image for web, workers, beat and redis; docker-compose.yml says which is which.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS base
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends \
        ca-certificates libvirt0 openssh-client python3 python3-libnbd qemu-utils redis-server \
        smartmontools tzdata \
    && rm -rf /var/lib/apt/lists/*

# What only building needs stays in this stage: compiler, headers, uv, npm.
FROM base AS build
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends \
        gcc libc6-dev libvirt-dev pkg-config python3-dev python3-venv
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CACHE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
WORKDIR /build
COPY requirements-build.lock requirements-postgres.lock ./
RUN python3 -m venv tools && tools/bin/pip install -q --require-hashes -r requirements-build.lock \
    && python3 -m venv --without-pip /opt/venv \
    && tools/bin/uv pip sync -q --python /opt/venv/bin/python --compile-bytecode \
        --require-hashes requirements-postgres.lock
COPY package.json package-lock.json .npmrc ./
RUN PATH=/build/tools/bin:$PATH npm ci --ignore-scripts

FROM base
RUN useradd --system --uid 10001 --home-dir /var/lib/labpanel --shell /usr/sbin/nologin labpanel \
    && install -d -o labpanel -g labpanel -m 0700 /var/lib/labpanel /backups \
    && printf '#!/bin/sh\nexec /opt/venv/bin/python /opt/labpanel/manage.py panel "$@"\n' \
        >/usr/local/bin/panel \
    && chmod 755 /usr/local/bin/panel
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/labpanel
COPY --from=build /build/node_modules node_modules
COPY . .
RUN /opt/venv/bin/python -m compileall -q backups hosts labpanel
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/labpanel \
    LABPANEL_HOME=/var/lib/labpanel \
    DJANGO_SETTINGS_MODULE=labpanel.settings \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1 \
    LABPANEL_IN_CONTAINER=1
USER labpanel
VOLUME /var/lib/labpanel
EXPOSE 8000
STOPSIGNAL SIGTERM
# What the panel writes is for its own user alone.
ENTRYPOINT ["sh", "-c", "umask 077 && exec \"$@\"", "panel"]
CMD ["sh", "-c", "python -m labpanel.supervise.private && python manage.py prepare && python manage.py collectstatic --noinput -v 0 && exec python -m labpanel.door --host 0.0.0.0 --port 8000"]
