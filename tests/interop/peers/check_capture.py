#!/usr/bin/env python3
"""Let tshark's SPDY dissector read the bytes of one connection.

    check_capture.py C2S S2C [--port N] [--keep-pcap FILE]

C2S and S2C are files with the raw bytes that client and server sent on ONE TCP connection
(either may be empty; files named *.hex hold hex digits instead).  They are wrapped into a
capture with made-up Ethernet, IP and TCP headers, which tshark dissects as SPDY.

On stdout comes one JSON object:

    { "ok": true, "tshark": "TShark .. 4.0.17 ..",
      "c2s": [ { "type": "SYN_STREAM", "flags": 1, "length": 107, "stream": 1,
                 "headers": [ [":method", "GET"], .. ], .. }, .. ],
      "s2c": [ .. ] }

Each list holds the frames of one direction in order; DATA has type "DATA".  Other keys where
a frame has them: associated, priority, ping_id, rst_status, last_good, goaway_status,
window_delta, settings ([[id, value], ..]).  Values joined by NUL stay joined ("a\\u0000b").

Exit code 0: tshark read everything and nothing alarmed it.  1: it complained, or its frames
do not add up to the bytes that went in; then "ok" is false and "problems" lists why, and each
problem goes to stderr too.  2: wrong usage, or tshark is missing or failed.

Only the standard library is used.  One connection per capture: with several, tshark 4.0
mixes header values up between them.  Its other faults seen here: it inflates every HEADERS
frame with the server's context, so that a HEADERS frame (trailers) sent by the client is an
alarm, rightly made or not, and must not be in C2S; and it knows GOAWAY's INTERNAL_ERROR as 11
only, so that the 2 of SPDY/3.1 is taken out of its alarms.
"""
import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as ElementTree

SEGMENT = 1400
LIMIT_S = 120
LIMIT_BYTES = 16 << 20
CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", None)
SYN, ACK, PSH, FIN = 0x02, 0x10, 0x08, 0x01

# Fields of the dissector that exist only when something is wrong.
ALARMS = {
    "spdy.inflation_failed", "spdy.malformed.frame_data", "spdy.malformed.setting_frame",
    "spdy.rst_stream.invalid", "spdy.goaway.invalid", "spdy.type.invalid", "_ws.malformed",
}
TYPES = {1: "SYN_STREAM", 2: "SYN_REPLY", 3: "RST_STREAM", 4: "SETTINGS", 6: "PING",
         7: "GOAWAY", 8: "HEADERS", 9: "WINDOW_UPDATE", 10: "CREDENTIAL"}
NUMBERS = {
    "spdy.flags": "flags", "spdy.length": "length", "spdy.streamid": "stream",
    "spdy.associated.streamid": "associated", "spdy.priority": "priority",
    "spdy.ping_id": "ping_id", "spdy.rst_stream_status": "rst_status",
    "spdy.goaway_last_good_stream_id": "last_good", "spdy.goaway_status": "goaway_status",
    "spdy.window_update_delta": "window_delta",
}


# --------------------------------------------------------------------------
# bytes -> capture


def packet(src, dst, seq, ack, flags, payload):
    tcp = struct.pack(">HHIIBBHHH", src[1], dst[1], seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                      5 << 4, flags, 0xFFFF, 0, 0) + payload
    addresses = bytes(map(int, src[0].split("."))) + bytes(map(int, dst[0].split(".")))
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + addresses
    # Checksums stay 0: tshark does not verify them unless told to.
    return b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01" + b"\x08\0" + ip + tcp


def capture(c2s, s2c, port):
    """pcap bytes of one TCP connection that carries the two byte strings."""
    server = (SERVER[0], port)
    seq = {CLIENT: 1000, server: 5000}
    packets = []

    def send(src, dst, flags, payload=b""):
        ack = seq[dst] if flags & ACK else 0
        packets.append(packet(src, dst, seq[src], ack, flags, payload))
        seq[src] += len(payload) + (1 if flags & (SYN | FIN) else 0)

    send(CLIENT, server, SYN)
    send(server, CLIENT, SYN | ACK)
    send(CLIENT, server, ACK)
    # When each segment was really sent is not known; taking turns, the client first, keeps
    # every request ahead of its reply as far as the dissector cares.
    for at in range(0, max(len(c2s), len(s2c)), SEGMENT):
        if c2s[at:at + SEGMENT]:
            send(CLIENT, server, PSH | ACK, c2s[at:at + SEGMENT])
        if s2c[at:at + SEGMENT]:
            send(server, CLIENT, PSH | ACK, s2c[at:at + SEGMENT])
    send(CLIENT, server, FIN | ACK)
    send(server, CLIENT, FIN | ACK)
    send(CLIENT, server, ACK)

    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, 1)]
    for number, data in enumerate(packets):
        out.append(struct.pack("<IIII", 1000 + number // 1000, number % 1000 * 1000, len(data), len(data)))
        out.append(data)
    return b"".join(out)


# --------------------------------------------------------------------------
# capture -> frames, by tshark


def dissect(pcap, port, problems):
    """Yield (direction, frame) in order, as tshark's PDML tells it."""
    command = ["tshark", "-r", pcap, "-n", "-d", "tcp.port==%d,spdy" % port, "-Y", "spdy || _ws.malformed",
               "-o", "tcp.desegment_tcp_streams:TRUE",
               # Joining the bodies of several streams trips an assertion inside tshark 4.0.
               "-o", "spdy.assemble_data_frames:FALSE", "-o", "spdy.decompress_body:FALSE",
               "-T", "pdml"]
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as tshark:
            alarm = threading.Timer(LIMIT_S, tshark.kill)
            alarm.start()
            try:
                # Packet by packet: the PDML is many times as big as the capture.
                for _, element in ElementTree.iterparse(tshark.stdout):
                    if element.tag == "packet":
                        yield from read_packet(element, port, problems)
                        element.clear()
            except ElementTree.ParseError as err:
                tshark.kill()
                raise SystemError("tshark's output is broken: %s" % err)
            finally:
                alarm.cancel()
        errors.seek(0)
        if tshark.returncode != 0:
            raise SystemError("tshark failed (%d): %s" % (tshark.returncode, errors.read().decode(errors="replace")))


def read_packet(pkt, port, problems):
    number = pkt.find("proto[@name='geninfo']/field[@name='num']").get("show")
    source = pkt.find("proto[@name='tcp']/field[@name='tcp.srcport']").get("show")
    for element in pkt.iter():
        if element.get("name") in ALARMS and not is_internal_error(element):
            problems.append("packet %s: %s: %s" % (number, element.get("name"), element.get("showname") or element.get("show")))
    for proto in pkt.findall("proto[@name='spdy']"):
        yield ("s2c" if int(source) == port else "c2s"), frame(proto)


def is_internal_error(element):
    """GOAWAY with status 2, which is INTERNAL_ERROR in SPDY/3.1."""
    return element.get("name") == "spdy.goaway.invalid" and element.get("showname", "").endswith("GOAWAY: 2")


def number(field):
    return int(field.get("show"), 0)


def string(field):
    """A header's name or value, from its bytes: the shown form ends at the first NUL."""
    raw = bytes.fromhex(field.get("value"))
    size = int(field.get("size"))
    if size == len(raw) and len(raw) >= 4 and int.from_bytes(raw[:4], "big") == len(raw) - 4:
        raw = raw[4:]
    return raw.decode("latin-1")


def frame(proto):
    out = {"type": "DATA"}
    headers, settings = [], []
    for field in proto.iter("field"):
        name = field.get("name")
        if name == "spdy.type":
            out["type"] = TYPES.get(number(field), "type %d" % number(field))
        elif name in NUMBERS and NUMBERS[name] not in out:
            out[NUMBERS[name]] = number(field)
        elif name == "spdy.header":
            pair = {f.get("name"): string(f) for f in field.findall("field")}
            headers.append([pair.get("spdy.header.name"), pair.get("spdy.header.value")])
        elif name == "spdy.setting":
            pair = {f.get("name"): number(f) for f in field.findall("field")
                    if f.get("name") in ("spdy.setting.id", "spdy.setting.value")}
            settings.append([pair.get("spdy.setting.id"), pair.get("spdy.setting.value")])
    if out["type"] in ("SYN_STREAM", "SYN_REPLY", "HEADERS"):
        out["headers"] = headers
    if out["type"] == "SETTINGS":
        out["settings"] = settings
    return out


# --------------------------------------------------------------------------


def count_frames(raw):
    """How many whole frames the bytes hold, and how many bytes are left over."""
    count = at = 0
    while at + 8 <= len(raw):
        length = int.from_bytes(raw[at + 5:at + 8], "big")
        if at + 8 + length > len(raw):
            break
        at += 8 + length
        count += 1
    return count, len(raw) - at


def read(path):
    with open(path, "rb") as file:
        raw = file.read()
    return bytes.fromhex("".join(raw.decode("ascii").split())) if path.endswith(".hex") else raw


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("c2s", help="bytes from client to server")
    ap.add_argument("s2c", help="bytes from server to client")
    ap.add_argument("--port", type=int, default=6121, help="the server's port in the capture (6121)")
    ap.add_argument("--keep-pcap", metavar="FILE", help="write the capture there, too")
    args = ap.parse_args()
    if shutil.which("tshark") is None:
        print("check_capture: tshark is not installed", file=sys.stderr)
        return 2

    try:
        raw = {"c2s": read(args.c2s), "s2c": read(args.s2c)}
    except (OSError, ValueError) as err:
        print("check_capture: %s" % err, file=sys.stderr)
        return 2
    if sum(map(len, raw.values())) > LIMIT_BYTES:
        print("check_capture: more than %d bytes, tshark would need minutes" % LIMIT_BYTES, file=sys.stderr)
        return 2
    problems = []
    out = {"ok": False, "c2s": [], "s2c": []}
    with tempfile.TemporaryDirectory(prefix="spdy-capture-") as folder:
        pcap = os.path.join(folder, "capture.pcap")
        with open(pcap, "wb") as file:
            file.write(capture(raw["c2s"], raw["s2c"], args.port))
        if args.keep_pcap:
            shutil.copy(pcap, args.keep_pcap)
        try:
            version = subprocess.run(["tshark", "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
            out["tshark"] = version.stdout.decode(errors="replace").splitlines()[0]
            for direction, seen in dissect(pcap, args.port, problems):
                out[direction].append(seen)
        except (SystemError, subprocess.TimeoutExpired) as err:
            print("check_capture: %s" % err, file=sys.stderr)
            return 2
    # A dissector that loses its way shows fewer frames rather than an alarm.
    for direction in ("c2s", "s2c"):
        count, rest = count_frames(raw[direction])
        if rest:
            problems.append("%s: %d bytes after the last whole frame" % (direction, rest))
        if count != len(out[direction]):
            problems.append("%s: %d frames went in, tshark shows %d" % (direction, count, len(out[direction])))
    out["ok"] = not problems
    if problems:
        out["problems"] = problems
    for problem in problems:
        print("check_capture: %s" % problem, file=sys.stderr)
    json.dump(out, sys.stdout)
    print()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
