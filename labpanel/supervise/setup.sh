# shellcheck shell=sh disable=SC2154,SC2034,SC2094
# Read by ./panel (top, venv, python are its own). Each step looks first, does what is missing,
# says so in one line, and is silent the next time.

# To build libvirt-python and to run the panel. redis-tools holds the server without its service.
base_packages='gcc libc6-dev pkg-config libvirt-dev python3-dev python3-venv redis-tools
    openssh-client smartmontools qemu-utils python3-libnbd libnbd-bin'
test_packages='chromium fonts-noto-cjk libfaketime tcsh'
check_packages='shellcheck gettext'

say() { printf '%s\n' "./panel: $*" >&2; }
die() { say "$*"; exit 1; }

# Run quietly; everything it said comes only when it failed.
quietly() {
    heard=$(mktemp)
    if "$@" >"$heard" 2>&1; then rm -f "$heard"; return 0; fi
    cat "$heard" >&2; rm -f "$heard"; return 1
}

lab_do() { (cd "$top" && exec /usr/bin/python3 -m lab "$@"); }

missing_of() {
    there=$(dpkg-query -W -f '${Package} ${db:Status-Status},' "$@" 2>/dev/null) || :
    for package; do
        case ",$there" in *",$package installed,"*) ;; *) printf '%s ' "$package" ;; esac
    done
}

need_packages() {
    command -v dpkg-query >/dev/null || return 0 # not Debian's family: use what is there
    missing=$(missing_of "$@")
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || die "packages are missing. Run: sudo apt-get install --no-install-recommends $missing"
    say "installing packages: $missing"
    # shellcheck disable=SC2086 # a list of names
    (flock 8 && install_quietly $missing) 8>/run/labpanel-apt.lock ||
        die "the packages could not be installed; apt's words are above."
}

# Package scripts ask policy-rc.d before they start a service. Where there is none, ours says no for
# as long as apt runs: nothing new listens on this machine because of the panel.
install_quietly() (
    policy=/usr/sbin/policy-rc.d mark='labpanel: no service starts while it installs packages'
    if [ ! -e "$policy" ] || grep -qs "$mark" "$policy"; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' INT TERM HUP
        printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt() { quietly apt-get -o DPkg::Lock::Timeout=900 -qq "$@" </dev/null; }
    apt update
    apt install -y --no-install-recommends "$@"
)

need_lab_packages() {
    [ "$(id -u)" = 0 ] || die "the practice lab makes namespaces and mounts: run this as root."
    need_packages python3
    # shellcheck disable=SC2046 # a list of names
    need_packages $(lab_do packages)
}

# The tests start a server of their own: the package is to make no cluster that starts with the machine.
need_postgres() {
    need_packages postgresql-common
    no_cluster=/etc/postgresql-common/createcluster.d/labpanel.conf
    [ -z "$(missing_of postgresql)" ] || printf 'create_main_cluster = false\n' >"$no_cluster"
    need_packages postgresql
    rm -f "$no_cluster"
}

digest_of() { cat -- "$@" | sha256sum | cut -c1-20; }

# need_python run|dev: the virtual environment, exactly as locked.
need_python() {
    (
        flock 8 # on the lock file itself: a second ./panel waits until the first has made it
        locked=$(digest_of "$top"/requirements*.lock)
        case $(cat "$venv/.made" 2>/dev/null) in
            "$1 $locked" | "dev $locked") if "$python" -c '' 2>/dev/null; then exit 0; fi ;;
        esac
        make_python "$1" && printf '%s\n' "$1 $locked" >"$venv/.made"
    ) 8<"$top/requirements.lock" || die "the Python packages could not be installed."
}

# Another user than the one who installed it only runs the panel.
may_install() {
    [ -w "$top" ] || { say "what the panel needs is not in place. Run: sudo $top/panel install"; return 1; }
}

make_python() {
    may_install || return 1
    say "making .venv with the locked Python packages ($1)"
    base=$(find_python) || { say "Python 3.11 or newer with venv is needed."; return 1; }
    "$python" -c 'import pip' 2>/dev/null || quietly "$base" -m venv --clear "$venv" || return 1
    lock=requirements.lock
    [ "$1" = run ] || lock=requirements-dev.lock
    quietly "$python" -m pip install --require-hashes -r "$top/requirements-build.lock" &&
        quietly "$venv/bin/uv" pip sync --python "$python" --require-hashes \
            "$top/$lock" "$top/requirements-build.lock"
}

find_python() {
    for name in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

need_front() {
    (
        flock 8
        locked=$(digest_of "$top/package.json" "$top/package-lock.json")
        [ "$(cat "$top/node_modules/.made" 2>/dev/null)" != "$locked" ] || exit 0
        may_install || exit 1
        say "fetching the locked front-end files into node_modules"
        cd "$top" && PATH=$venv/bin:$PATH quietly "$python" "$venv/bin/npm" ci \
            --ignore-scripts --no-audit --no-fund && printf '%s\n' "$locked" >node_modules/.made
    ) 8<"$top/package-lock.json" || die "the front-end files could not be fetched."
}

# need run|dev PACKAGES…: all of it.
need() {
    set_of=$1; shift
    # shellcheck disable=SC2086 # a list of names
    need_packages $base_packages "$@"
    need_python "$set_of"
    need_front
}

# Write the locks anew from requirements*.txt: one resolution, so that all of them agree.
relock() (
    cd "$top" || exit 1
    compile() {
        say "resolving $1"
        "$venv/bin/uv" pip compile -q --python "$python" --universal --python-version 3.11 \
            --generate-hashes --no-header "$1.txt" -o "$1.lock" -c "${2:-/dev/null}"
    }
    compile requirements
    compile requirements-build
    compile requirements-postgres requirements.lock
    compile requirements-dev requirements.lock
)
