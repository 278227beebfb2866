#!/bin/sh
# Proves Dockerfile and docker-compose.yml on a private Docker engine: built, started, healthy,
# signed in to by the one-time link's page, restarted, taken down. Nothing stays. Needs root.
set -eu
top=$(dirname -- "$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")")
# shellcheck source=labpanel/supervise/setup.sh
. "$top/labpanel/supervise/setup.sh"

say() { printf '%s\n' "container: $*"; }
[ "$(id -u)" = 0 ] || die 'a private Docker engine needs root.'
need_packages docker.io mmdebstrap iproute2 curl ca-certificates

# The engine's sockets need a short path; its data may not lie on an overlay file system.
work=$(mktemp -d /tmp/labpanel-engine.XXXXXX)
export DOCKER_HOST="unix://$work/docker.sock" DOCKER_CONFIG="$work/config"
export COMPOSE_PROJECT_NAME="labpanel-proof-$$" LABPANEL_IMAGE="labpanel-proof:$$"
engine=

compose() { docker compose -f "$top/docker-compose.yml" -f "$work/proof.yml" "$@"; }

stop_engine() {
    kill "$engine" 2>/dev/null || :
    wait "$engine" 2>/dev/null || :
    engine=
}

leave() {
    status=$?
    trap - EXIT
    if [ -n "$engine" ]; then
        [ "$status" = 0 ] || { compose ps -a; compose logs --tail 40; tail -n 20 "$work/engine.log"; } || :
        compose down -v --remove-orphans >/dev/null 2>&1 || :
        stop_engine
    fi
    awk -v w="$work/" 'index($2, w) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do
        umount -l "$mount" || :
    done
    rm -rf -- "$work"
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

# Compose v2 and buildx are in Debian from 13 on and need an older libc only. apt fetches the two
# files with a source list of its own; nothing is installed and the machine's sources stay.
fetch_plugins() {
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/apt/x" \
        "$DOCKER_CONFIG/cli-plugins"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" \
        >"$work/apt/sources.list"
    apt_get() {
        quietly apt-get -qq -o Dir::Etc::SourceList="$work/apt/sources.list" \
            -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/apt/lists" \
            -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root "$@"
    }
    apt_get update
    (cd "$work/apt/x" && apt_get download docker-compose docker-buildx)
    for package in "$work"/apt/x/*.deb; do dpkg -x "$package" "$work/apt/x"; done
    ln -s "$work"/apt/x/usr/libexec/docker/cli-plugins/* "$DOCKER_CONFIG/cli-plugins/"
}

# No rule of this machine's firewall is touched: labs and libvirt's networks go on. The price: the
# running containers reach each other and are reached through 127.0.0.1, but not the outside.
start_engine() {
    dockerd --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false --bridge=none \
        --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
        -H "$DOCKER_HOST" >"$work/engine.log" 2>&1 &
    engine=$!
    for _ in $(seq 120); do
        if docker info >/dev/null 2>&1; then return 0; fi
        sleep 0.5
    done
    die 'the engine did not start.'
}

# The base image is Debian's own. Where the registry of images is not reached, the same Debian is
# made from its packages, with this machine's certificates, under the same name.
base_image() {
    if timeout 60 docker pull -q debian:trixie-slim >/dev/null 2>&1; then return 0; fi
    say 'no image registry: making the base image from Debian packages'
    # A session of its own: when mmdebstrap fails it signals its whole process group.
    quietly setsid -w mmdebstrap --quiet --variant=minbase --include=ca-certificates \
        --aptopt='APT::Sandbox::User "root"' \
        --customize-hook='copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs' \
        trixie "$work/base.tar" "$mirror" </dev/null
    docker import -c 'CMD ["/bin/bash"]' \
        -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        "$work/base.tar" debian:trixie-slim >/dev/null
    rm -f "$work/base.tar"
}

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

expect() { # expect WHAT PATTERN COMMAND…: its output must match
    what=$1 pattern=$2; shift 2
    if ! found=$("$@" 2>&1) || ! printf '%s' "$found" | grep -Eq "$pattern"; then
        printf '%s\n' "$found" >&2
        die "$what: no '$pattern' in the answer above."
    fi
    say "$what: as expected"
}

# shellcheck disable=SC2016 # apt's own placeholder
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$')
fetch_plugins
start_engine
base_image
port=$(free_port)
export LABPANEL_PUBLISH="127.0.0.1:$port"
# While the image is built it fetches packages over this machine's own network.
for service in web worker-quick worker-long beat redis; do
    echo "  $service: {build: {network: host}}"
done | sed '1i services:' >"$work/proof.yml"
say 'building the image'
quietly compose build web
say "built: $(docker image inspect -f '{{.Size}}' "$LABPANEL_IMAGE" | awk '{ printf "%d MB", $1 / 1e6 }')"
quietly compose up -d --wait --wait-timeout 300 || die 'not every service became healthy.'
compose ps --format '{{.Service}}: {{.Status}}'

expect 'health check' '^200$' curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/healthz"
expect 'first page leads to sign-in' '^302 .*sign-in' \
    curl -s -o /dev/null -w '%{http_code} %{redirect_url}' "http://127.0.0.1:$port/"
expect 'sign-in page' '<form' curl -sL "http://127.0.0.1:$port/"
expect 'one-time link' 'https?://' compose exec -T web panel first-link
expect 'not root' '^10001$' compose exec -T web id -u
expect 'libvirt' 'ok' compose exec -T worker-long python -c 'import libvirt; libvirt.open("test:///default"); print("ok")'
quietly compose restart -t 15 web || die 'the web service did not restart.'
quietly compose up -d --wait --wait-timeout 300 || die 'the web service is not healthy after a restart.'
expect 'health check after a restart' '^200$' \
    curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/healthz"

bridges=$(docker network ls -q | sed 's/^/br-/')
quietly compose down -v --remove-orphans
[ -z "$(docker ps -aq)" ] || die 'containers are left.'
stop_engine
for bridge in $bridges; do
    if ip link show "$bridge" >/dev/null 2>&1; then die "the bridge $bridge is left."; fi
done
say 'all holds; nothing is left.'
