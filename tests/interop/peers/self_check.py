#!/usr/bin/env python3
"""Judge the judges: run the interop peers against each other, without this crate.

    SPDY_INTEROP_NODE_DIR=.. SPDY_INTEROP_GO_PEER=.. self_check.py

Every scenario of the node client against the node server, every scenario of the Go client
against the Go server, and check_capture.py over the frame vectors.  When this passes, a
failing interop test points at the crate.  Exit code 0 if all is well, 1 otherwise.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "vectors")

NODE_SCENARIOS = ["get", "head", "status", "echo1m", "many", "slow", "cancel", "reset", "goaway",
                  "cookies", "headers", "trailers", "ping"]
# Without goawayopen, which the Go server cannot serve (see go_peer.go).
GO_SCENARIOS = ["streams200", "bulk", "halfclose", "ping", "reset", "refuse", "goaway", "servergoaway"]

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


def run_peers(name, server, client, scenarios):
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
                done = subprocess.run(client + [line[1], scenario], stdin=subprocess.DEVNULL,
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
