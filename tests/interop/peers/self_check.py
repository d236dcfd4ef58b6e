#!/usr/bin/env python3
"""Judge the judges: run the interop peers against each other, without this crate.

    SPDY_INTEROP_NODE_DIR=.. SPDY_INTEROP_GO_PEER=.. self_check.py

Every scenario of the node client against the node server, some of them over TLS and through
HAProxy as well; every scenario of the Go client against the Go server; check_capture.py over the
frame vectors; NPN between OpenSSL and HAProxy; and what the tests need of curl and Chromium.
When this passes, a failing interop test points at the crate.  Exit code 0 if all is well, 1
otherwise.
"""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "vectors")

NODE_SCENARIOS = ["get", "head", "status", "echo1m", "many", "slow", "cancel", "reset", "goaway",
                  "cookies", "headers", "trailers", "ping"]
# Over TLS the same code runs above the socket: these show that the socket is right.
TLS_SCENARIOS = ["get", "echo1m", "many", "slow", "cancel", "headers", "agent"]
# Without goawayopen, which the Go server cannot serve, and what needs a server of port-forward (see go_peer.go).
GO_SCENARIOS = ["streams200", "bulk", "storm", "halfclose", "ping", "reset", "refuse", "goaway", "servergoaway"]

# tshark 4.0 inflates a client's HEADERS frame with the wrong context (see check_capture.py).
UNREADABLE = {"v3-02-request-sequence"}
# Malformed in a way that a dissector, which keeps no stream state, can notice.
NOTICED = {"bad-04-wrong-dictionary-id", "bad-17-settings-count-lie"}

failures = 0


def report(what, error, began):
    global failures
    failures += error is not None
    took = "%.1f s" % (time.monotonic() - began)
    print("  %-40s %s" % (what, "ok, " + took if error is None else "FAILED, %s: %s" % (took, error)), flush=True)


def run_peers(name, server, client, scenarios, trust=()):
    # The pipe to stdin is the server's leash: it ends when we do.
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline().split()
        if len(line) != 2 or line[0] != "LISTENING":
            report(name + " server", "no LISTENING line: %r" % line, time.monotonic())
            process.kill()
            return
        for scenario in scenarios:
            began = time.monotonic()
            try:
                done = subprocess.run(client + [line[1], scenario, *trust], stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, timeout=90)
                ok = done.returncode == 0 and json.loads(done.stdout)["ok"] is True
                error = None if ok else "exit %d: %s%s" % (done.returncode, done.stdout, done.stderr)
            except (subprocess.TimeoutExpired, ValueError, KeyError) as err:
                error = repr(err)
            report("%s %s" % (name, scenario), error, began)
        process.stdin.close()
        try:
            if process.wait(timeout=5) != 0:
                report(name + " server", "exit %d" % process.returncode, time.monotonic())
        except subprocess.TimeoutExpired:
            process.kill()
            report(name + " server", "did not end with its stdin", time.monotonic())


def check(what, work):
    """Reports what `work` returns, an error or None; a tool that is missing or does not end is one."""
    began = time.monotonic()
    try:
        error = work()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as err:
        error = repr(err)
    report(what, error, began)


def output(command, timeout=30):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def make_certificate(folder):
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    code, _, stderr = output(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                              "-days", "2", "-subj", "/CN=localhost", "-addext",
                              "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certificate, "-keyout", key])
    if code != 0:
        raise OSError("openssl req: %s" % stderr)
    return certificate, key


HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend spdy
    bind 127.0.0.1:%d ssl crt %s npn spdy/3.1,http/1.1 alpn spdy/3.1,http/1.1
    default_backend node
backend node
    server node 127.0.0.1:%s
"""


def check_npn(port, certificate):
    code, stdout, stderr = output(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-CAfile", certificate,
                                   "-verify_return_error", "-tls1_2", "-nextprotoneg", "spdy/3.1"])
    if code != 0 or "Next protocol: (1) spdy/3.1" not in stdout:
        return "exit %d: %s%s" % (code, stdout, stderr)
    return None


def check_haproxy(folder, certificate, key):
    """OpenSSL and the node client, by HAProxy, at a node server that knows nothing of TLS."""
    bundle, config = os.path.join(folder, "bundle.pem"), os.path.join(folder, "haproxy.cfg")
    with open(bundle, "w") as out:
        for path in (certificate, key):
            with open(path) as part:
                out.write(part.read())
    node = [os.path.join(HERE, name) for name in ("node_server.js", "node_client.js")]
    # Bound and silent, it keeps the port for HAProxy, which binds with SO_REUSEPORT, too.
    with socket.socket() as reserved, subprocess.Popen(["node", node[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                       text=True) as server:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with open(config, "w") as out:
            out.write(HAPROXY % (port, bundle, server.stdout.readline().split()[1]))
        with subprocess.Popen(["haproxy", "-db", "-f", config], stdin=subprocess.DEVNULL) as haproxy:
            try:
                for _ in range(500):
                    if haproxy.poll() is not None:
                        return "haproxy has ended with %d" % haproxy.returncode
                    with socket.socket() as probe:
                        if probe.connect_ex(("127.0.0.1", port)) == 0:
                            break
                    time.sleep(0.02)
                else:
                    return "haproxy does not listen after 10 s"
                error = check_npn(port, certificate)
                if error:
                    return error
                code, stdout, stderr = output(["node", node[1], str(port), "echo1m", certificate], timeout=90)
                return None if code == 0 else "node through haproxy: exit %d: %s%s" % (code, stdout, stderr)
            finally:
                haproxy.kill()
                server.stdin.close()
                server.kill()


def check_curl():
    code, stdout, _ = output(["curl", "-q", "--version"])
    return None if code == 0 and "HTTP2" in stdout.split() else "no HTTP2 among its features: %s" % stdout


def check_chromium(folder):
    """A page that runs a script and is photographed, without any server."""
    page, picture = os.path.join(folder, "page.html"), os.path.join(folder, "page.png")
    with open(page, "w") as out:
        out.write("<p id=p>0</p><script>p.textContent = 6 * 7</script>")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-breakpad",
               "--disable-background-networking", "--user-data-dir=" + os.path.join(folder, "profile"),
               "--screenshot=" + picture, "--dump-dom", "file://" + page]
    # Its own processes are in its group, and go with it.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "HOME": folder}, start_new_session=True) as process:
        try:
            stdout, stderr = process.communicate(timeout=60)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    if ">42</p>" not in stdout:
        return "the script did not run: %s%s" % (stdout, stderr)
    with open(picture, "rb") as png:
        return None if png.read(8) == b"\x89PNG\r\n\x1a\n" else "the picture is no PNG"


def block_pairs(frame):
    return [[h["name"], "\0".join(h["values"])] for h in frame.get("headers", [])]


def check_vector(vector, empty):
    path = os.path.join(VECTORS, vector["file"])
    files = [path, empty] if vector["sender"] == "client" else [empty, path]
    done = subprocess.run([sys.executable, os.path.join(HERE, "check_capture.py")] + files,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150)
    if vector["malformed"] or vector["name"] in UNREADABLE:
        wanted = 1 if vector["name"] in NOTICED | UNREADABLE else 0
        return None if done.returncode == wanted else "exit %d, expected %d: %s" % (done.returncode, wanted, done.stderr)
    if done.returncode != 0:
        return "exit %d: %s" % (done.returncode, done.stderr)
    seen = json.loads(done.stdout)["c2s" if vector["sender"] == "client" else "s2c"]
    wanted = [(f.get("type_name", "DATA"), f["flags"], f["length"], block_pairs(f)) for f in vector["frames"]]
    got = [(f["type"], f["flags"], f["length"], f.get("headers", [])) for f in seen]
    return None if got == wanted else "got %r, expected %r" % (got, wanted)


def main():
    node_dir, go_peer = os.environ.get("SPDY_INTEROP_NODE_DIR"), os.environ.get("SPDY_INTEROP_GO_PEER")
    if not node_dir or not go_peer:
        print("self_check: SPDY_INTEROP_NODE_DIR and SPDY_INTEROP_GO_PEER have to be set", file=sys.stderr)
        return 2
    run_peers("node", ["node", os.path.join(HERE, "node_server.js")],
              ["node", os.path.join(HERE, "node_client.js")], NODE_SCENARIOS)
    folder = tempfile.mkdtemp()
    try:
        certificate, key = make_certificate(folder)
        run_peers("node over TLS", ["node", os.path.join(HERE, "node_server.js"), certificate, key],
                  ["node", os.path.join(HERE, "node_client.js")], TLS_SCENARIOS, [certificate])
        check("haproxy, openssl: NPN", lambda: check_haproxy(folder, certificate, key))
        check("curl", check_curl)
        check("chromium", lambda: check_chromium(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    run_peers("go", [go_peer, "server"], [go_peer, "client"], GO_SCENARIOS)
    with open(os.path.join(VECTORS, "vectors.json")) as file:
        vectors = [v for v in json.load(file)["vectors"] if v["wire_version"] == 3]
    missing = (UNREADABLE | NOTICED) - {v["name"] for v in vectors}
    if missing or len(vectors) < len(glob.glob(os.path.join(VECTORS, "v3-*.hex"))):
        report("vectors.json", "vectors are missing: %s" % sorted(missing), time.monotonic())
    with tempfile.NamedTemporaryFile() as empty:
        for vector in vectors:
            began = time.monotonic()
            report("tshark " + vector["name"], check_vector(vector, empty.name), began)
    print("  %s" % ("all peers work" if not failures else "%d failures" % failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
