# Sourced by the scripts that need peers of others: what is missing is installed by apt-get, Go programs are built against
# Debian's spdystream. The script sets `name` for its messages, `root`, and `install` to yes or no.

gocode=/usr/share/gocode
spdystream=$gocode/src/github.com/docker/spdystream

say() { printf '%s: %s\n' "$name" "$*"; }
fail() { printf '%s: error: %s\n' "$name" "$*" >&2; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif have sudo; then
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@" || fail "sudo -n $* failed"
    else
        fail "not root and no sudo, so this cannot be run: $*"
    fi
}

apt_install() {
    say "installing by apt-get: $*"
    # Another apt may be at work: wait for its lock.
    as_root apt-get -o DPkg::Lock::Timeout=300 update -qq
    as_root apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@"
}

# install_missing PACKAGE..: all of them, in one go; none is fine.
install_missing() {
    [ $# -gt 0 ] || return 0
    say "missing packages: $*"
    [ "$install" = yes ] || fail "install them, or leave out --no-install"
    have apt-get || fail "no apt-get here: install the like of these by hand, spdystream as $spdystream"
    apt_install "$@"
}

# Prints the packages of Go and spdystream that are missing.
missing_go() {
    have go || echo golang-go
    [ -e "$spdystream/connection.go" ] || echo golang-github-docker-spdystream-dev
}

# Stops if they are missing still.
require_go() {
    have go || fail "go is still missing"
    [ -e "$spdystream/connection.go" ] || fail "$spdystream is still missing"
}

# go_program SOURCE PROGRAM: vets and builds one file. No network, no module, no cache outside of target.
go_program() {
    local settings=(GO111MODULE=off "GOPATH=$gocode" "GOCACHE=$root/target/interop/go-cache" GOFLAGS= CGO_ENABLED=0)
    env "${settings[@]}" go vet "$1"
    env "${settings[@]}" go build -o "$2" "$1"
}

go_versions() {
    printf '%s, spdystream %s' "$(go version | cut -d' ' -f3)" \
        "$(dpkg-query -W -f '${Version}' golang-github-docker-spdystream-dev 2>/dev/null || echo '?')"
}
