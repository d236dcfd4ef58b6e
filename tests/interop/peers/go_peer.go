// Raw streams over SPDY with the unmodified Go package spdystream 0.2.0, the one that
// Kubernetes uses, as Debian packages it (golang-github-docker-spdystream-dev):
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o go_peer go_peer.go
//
//	go_peer server            prints `LISTENING <port>` and serves until stdin ends
//	go_peer client PORT NAME  runs one scenario against 127.0.0.1:PORT
//
// The client ends with exit code 0 and one JSON line {"scenario", "ok": true, ..} on stdout,
// or with 1 and {"scenario", "ok": false, "error"}; 2 is wrong usage. Every scenario ends
// within 30 s (bulk: 60 s), come what may.
//
// What a server has to do for the client, and what the server here does: accept every stream
// with a SYN_REPLY that carries `x-mirror: yes` and every request header back under
// `x-echo-NAME`, send each byte back, and half-close when the client half-closes. A stream with
// the header `reject: 1` gets RST_STREAM(REFUSED_STREAM) and no reply. One with `goaway: 1` is
// replied to and mirrored like any other; when it ends, the server sends GOAWAY.
//
// For `unreadreset` and `unreadpause` it has to be a server of port-forward instead: port 7 sends each byte back, and
// port 9 reads nothing; for `unreadpause` it reads all after all, once everything has stood still for two seconds or more.
//
// Quirks of this peer:
//   - It sends no SETTINGS and no WINDOW_UPDATE and ignores both: flow control has to be off.
//   - Each Write is one DATA frame, whatever its size; `bulk` writes 64 KiB and 1 MiB.
//   - SYN_STREAM and SYN_REPLY carry no pseudo headers. Names go out in lower case.
//   - It never gives the received SYN_REPLY's headers to the application, so the client cannot
//     check `x-mirror`; it drops DATA that comes before SYN_REPLY.
//   - One unread stream blocks its worker (id mod 5), 50 frames later the whole connection.
//   - RST_STREAM from the peer looks like EOF to a reader, and like ErrReset to Wait only if it
//     comes before SYN_REPLY. Stream.Reset sends CANCEL; after FIN it sends nothing.
//   - On GOAWAY it stops reading, ends every stream and closes: GOAWAY must be the last frame.
//     So `goawayopen` fails against the server here, and only there.
//   - Its own Close sends GOAWAY(OK) and closes TCP once its stream table is empty.
//   - A frame that it cannot read ends its read loop in silence: the sign is a stall.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/docker/spdystream"
)

const (
	limit     = 30 * time.Second
	bulkLimit = 60 * time.Second
	bulkBytes = 100 << 20
	replyWait = 10 * time.Second
)

// A result's fields go into the JSON line.
type result map[string]interface{}

type scenario struct {
	limit time.Duration
	run   func(*spdystream.Connection) (result, error)
}

var scenarios = map[string]scenario{
	"streams200":   {limit, streams200},
	"bulk":         {bulkLimit, bulk},
	"halfclose":    {limit, halfClose},
	"ping":         {limit, ping},
	"reset":        {limit, reset},
	"refuse":       {limit, refuse},
	"goaway":       {limit, goAway},
	"goawayopen":   {limit, goAwayOpen},
	"servergoaway": {limit, serverGoAway},
	"storm":        {bulkLimit, storm},
	"unreadreset":  {bulkLimit, unreadReset},
	"unreadpause":  {bulkLimit, unreadPause},
}

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "server":
		if err := serve(); err != nil {
			fmt.Fprintf(os.Stderr, "go_peer server: %s\n", err)
			os.Exit(1)
		}
	case len(os.Args) == 4 && os.Args[1] == "client":
		os.Exit(runClient(os.Args[2], os.Args[3]))
	default:
		fmt.Fprintln(os.Stderr, "usage: go_peer server | go_peer client PORT SCENARIO")
		os.Exit(2)
	}
}

// ---- server

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("LISTENING %d\n", listener.Addr().(*net.TCPAddr).Port)
	// A test that dies leaves no server behind: its end of our stdin closes with it.
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		session, err := spdystream.NewConnection(conn, true)
		if err != nil {
			return err
		}
		go session.Serve(func(stream *spdystream.Stream) { accept(session, stream) })
	}
}

// Runs on one of the connection's five workers: what may block goes elsewhere.
func accept(session *spdystream.Connection, stream *spdystream.Stream) {
	if stream.Headers().Get("reject") != "" {
		if err := stream.Refuse(); err != nil {
			fmt.Fprintf(os.Stderr, "go_peer server: refuse: %s\n", err)
		}
		return
	}
	reply := http.Header{"X-Mirror": {"yes"}}
	for name, values := range stream.Headers() {
		reply["X-Echo-"+name] = values
	}
	if err := stream.SendReply(reply, false); err != nil {
		fmt.Fprintf(os.Stderr, "go_peer server: reply: %s\n", err)
		return
	}
	go func() {
		if _, err := io.Copy(onlyWriter{stream}, onlyReader{stream}); err != nil {
			fmt.Fprintf(os.Stderr, "go_peer server: %s: %s\n", stream, err)
		}
		// After a reset this fails, and nobody is left to care.
		stream.Close()
		if stream.Headers().Get("goaway") != "" {
			session.Close()
		}
	}()
}

// io.Copy with its own buffer, so that a big DATA frame comes back in pieces of 32 KiB.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

// ---- client

func runClient(port, name string) int {
	chosen, ok := scenarios[name]
	if !ok {
		names := []string{}
		for n := range scenarios {
			names = append(names, n)
		}
		fmt.Fprintf(os.Stderr, "go_peer client: no scenario %q; there are %s\n", name, strings.Join(names, ", "))
		return 2
	}
	type outcome struct {
		fields result
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		fields, err := connectAndRun(port, chosen)
		done <- outcome{fields, err}
	}()
	var out outcome
	select {
	case out = <-done:
	case <-time.After(chosen.limit):
		out.err = fmt.Errorf("not done after %s", chosen.limit)
	}
	line := result{"scenario": name, "ok": out.err == nil}
	for key, value := range out.fields {
		line[key] = value
	}
	if out.err != nil {
		line["error"] = out.err.Error()
		fmt.Fprintf(os.Stderr, "go_peer client: %s: %s\n", name, out.err)
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		fmt.Fprintf(os.Stderr, "go_peer client: %s\n", err)
		return 1
	}
	fmt.Println(string(encoded))
	if out.err != nil {
		return 1
	}
	return 0
}

func connectAndRun(port string, chosen scenario) (result, error) {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, replyWait)
	if err != nil {
		return nil, err
	}
	session, err := spdystream.NewConnection(conn, false)
	if err != nil {
		return nil, err
	}
	go session.Serve(spdystream.NoOpStreamHandler)
	fields, err := chosen.run(session)
	if err != nil {
		return fields, err
	}
	// GOAWAY, then the end of TCP; both sides have finished all streams.
	session.SetCloseTimeout(2 * time.Second)
	if err := session.CloseWait(); err != nil && !endedBefore(err) {
		return fields, fmt.Errorf("close: %w", err)
	}
	return fields, nil
}

// Whether the peer's GOAWAY has already ended the connection: noticed by reading, or in the middle of our own.
func endedBefore(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

func open(session *spdystream.Connection, headers http.Header) (*spdystream.Stream, error) {
	stream, err := session.CreateStream(headers, nil, false)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if err := stream.WaitTimeout(replyWait); err != nil {
		return nil, fmt.Errorf("%s: no reply: %w", stream, err)
	}
	return stream, nil
}

func payload(seed int64, size int) []byte {
	bytes := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(bytes)
	return bytes
}

// Sends all of `sent`, half-closes, and compares what comes back until EOF.
func mirror(stream *spdystream.Stream, sent []byte) error {
	if _, err := stream.Write(sent); err != nil {
		return fmt.Errorf("%s: write: %w", stream, err)
	}
	if err := stream.Close(); err != nil {
		return fmt.Errorf("%s: half-close: %w", stream, err)
	}
	got, err := io.ReadAll(stream)
	if err != nil {
		return fmt.Errorf("%s: read: %w", stream, err)
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("%s: sent %d bytes, got %d bytes back, or other ones", stream, len(sent), len(got))
	}
	return nil
}

// 200 streams open at once; each sends 4 KiB and reads them back.
func streams200(session *spdystream.Connection) (result, error) {
	const count, size = 200, 4096
	streams := make([]*spdystream.Stream, count)
	for i := range streams {
		stream, err := session.CreateStream(http.Header{"Number": {fmt.Sprint(i)}}, nil, false)
		if err != nil {
			return nil, err
		}
		streams[i] = stream
	}
	for _, stream := range streams {
		if err := stream.WaitTimeout(replyWait); err != nil {
			return nil, fmt.Errorf("%s: no reply: %w", stream, err)
		}
	}
	errs := make(chan error, count)
	for i, stream := range streams {
		go func(i int, stream *spdystream.Stream) { errs <- mirror(stream, payload(int64(i), size)) }(i, stream)
	}
	for range streams {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return result{"streams": count, "bytes": count * size}, nil
}

// 100 MiB out and back on one stream, written and read at the same time.
func bulk(session *spdystream.Connection) (result, error) {
	fields := result{"bytes": bulkBytes}
	sent := payload(7, bulkBytes)
	for _, chunk := range []int{64 << 10, 1 << 20} {
		stream, err := open(session, http.Header{"Streamtype": {"bulk"}})
		if err != nil {
			return nil, err
		}
		begin := time.Now()
		sum, err := pump(stream, sent, chunk)
		if err != nil {
			return nil, fmt.Errorf("writes of %d: %w", chunk, err)
		}
		fields["sha256"] = sum
		fields[fmt.Sprintf("ms_writes_of_%d", chunk)] = time.Since(begin).Milliseconds()
	}
	return fields, nil
}

// Writes all of `sent` in pieces, half-closes, and compares what comes back meanwhile.
func pump(stream *spdystream.Stream, sent []byte, chunk int) (string, error) {
	wrote := make(chan error, 1)
	go func() {
		for rest := sent; len(rest) > 0; {
			n := chunk
			if n > len(rest) {
				n = len(rest)
			}
			if _, err := stream.Write(rest[:n]); err != nil {
				wrote <- err
				return
			}
			rest = rest[n:]
		}
		wrote <- stream.Close()
	}()
	hash := sha256.New()
	got, err := io.Copy(hash, stream)
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	if err := <-wrote; err != nil {
		return "", fmt.Errorf("write: %w", err)
	}
	want := sha256.Sum256(sent)
	if got != int64(len(sent)) || !bytes.Equal(hash.Sum(nil), want[:]) {
		return "", fmt.Errorf("got %d bytes back, expected the same %d", got, len(sent))
	}
	return hex.EncodeToString(want[:]), nil
}

// 200 streams at once move 100 MiB out and back, each with bytes of its own and half-closed before its last bytes are back;
// 40 more are reset in the middle of their writes, and PINGs are answered all the time.
func storm(session *spdystream.Connection) (result, error) {
	const count, size, resets = 200, bulkBytes / 200, 40
	streams := make([]*spdystream.Stream, count+resets)
	for i := range streams {
		stream, err := open(session, http.Header{"Number": {fmt.Sprint(i)}})
		if err != nil {
			return nil, err
		}
		streams[i] = stream
	}
	errs := make(chan error, len(streams))
	for i, stream := range streams {
		go func(i int, stream *spdystream.Stream) {
			if i >= count {
				errs <- breakOff(stream)
				return
			}
			_, err := pump(stream, payload(int64(i), size), 32<<10)
			errs <- err
		}(i, stream)
	}
	// What takes longer than all of the streams stays below the rate that a server takes for a flood.
	pings, pause := 0, time.NewTicker(100*time.Millisecond)
	defer pause.Stop()
	for left := len(streams); left > 0; {
		select {
		case err := <-errs:
			if err != nil {
				return nil, err
			}
			left--
		case <-pause.C:
			if _, err := session.Ping(); err != nil {
				return nil, err
			}
			pings++
		}
	}
	if pings == 0 {
		return nil, errors.New("no PING was sent while bytes were moved")
	}
	return result{"streams": count, "bytes": count * size, "reset": resets, "pings": pings}, nil
}

// Resets a stream while its bytes come back.
func breakOff(stream *spdystream.Stream) error {
	go io.Copy(io.Discard, stream)
	for i := 0; i < 4; i++ {
		if _, err := stream.Write(payload(int64(i), 16<<10)); err != nil {
			return err
		}
	}
	return stream.Reset()
}

// The other direction stays open after our FIN, and after an empty stream.
func halfClose(session *spdystream.Connection) (result, error) {
	empty, err := open(session, http.Header{})
	if err != nil {
		return nil, err
	}
	if err := mirror(empty, nil); err != nil {
		return nil, err
	}
	stream, err := open(session, http.Header{"Multi": {"one", "two"}})
	if err != nil {
		return nil, err
	}
	first := make([]byte, 5)
	if _, err := stream.Write([]byte("first")); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(stream, first); err != nil || string(first) != "first" {
		return nil, fmt.Errorf("echo before the half-close: %q, %v", first, err)
	}
	return result{}, mirror(stream, []byte("last"))
}

func ping(session *spdystream.Connection) (result, error) {
	var worst time.Duration
	for i := 0; i < 10; i++ {
		took, err := session.Ping()
		if err != nil {
			return nil, err
		}
		if took > worst {
			worst = took
		}
	}
	return result{"pings": 10, "worst_us": worst.Microseconds()}, nil
}

// Half of the streams are reset while the others go on.
func reset(session *spdystream.Connection) (result, error) {
	const count = 20
	streams := make([]*spdystream.Stream, count)
	for i := range streams {
		stream, err := open(session, http.Header{"Number": {fmt.Sprint(i)}})
		if err != nil {
			return nil, err
		}
		streams[i] = stream
	}
	var group sync.WaitGroup
	errs := make(chan error, count)
	for i, stream := range streams {
		group.Add(1)
		go func(i int, stream *spdystream.Stream) {
			defer group.Done()
			if i%2 == 0 {
				if _, err := stream.Write(payload(int64(i), 4096)); err != nil {
					errs <- err
				} else if err := stream.Reset(); err != nil {
					errs <- fmt.Errorf("%s: reset: %w", stream, err)
				}
				return
			}
			if err := mirror(stream, payload(int64(i), 65536)); err != nil {
				errs <- err
			}
		}(i, stream)
	}
	group.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return nil, err
	}
	// And the connection still takes new ones.
	stream, err := open(session, http.Header{})
	if err != nil {
		return nil, err
	}
	return result{"reset": count / 2, "finished": count / 2}, mirror(stream, []byte("after"))
}

func refuse(session *spdystream.Connection) (result, error) {
	live, err := open(session, http.Header{})
	if err != nil {
		return nil, err
	}
	refused, err := session.CreateStream(http.Header{"Reject": {"1"}}, nil, false)
	if err != nil {
		return nil, err
	}
	if err := refused.WaitTimeout(replyWait); !errors.Is(err, spdystream.ErrReset) {
		return nil, fmt.Errorf("a stream to be refused ended with %v instead of a reset", err)
	}
	return result{}, mirror(live, payload(1, 4096))
}

// As Kubernetes clients end: all streams are done, then GOAWAY. TCP has to end as well.
func goAway(session *spdystream.Connection) (result, error) {
	const count = 5
	for i := 0; i < count; i++ {
		stream, err := open(session, http.Header{})
		if err != nil {
			return nil, err
		}
		if err := mirror(stream, payload(int64(i), 4096)); err != nil {
			return nil, err
		}
	}
	return result{"finished": count}, session.CloseWait()
}

// GOAWAY goes out while streams are open; they are finished, then TCP is closed. The server
// above cannot do that: it stops reading at any GOAWAY.
func goAwayOpen(session *spdystream.Connection) (result, error) {
	const count = 5
	streams := make([]*spdystream.Stream, count)
	for i := range streams {
		stream, err := open(session, http.Header{})
		if err != nil {
			return nil, err
		}
		streams[i] = stream
	}
	if err := session.Close(); err != nil {
		return nil, err
	}
	for i, stream := range streams {
		if err := mirror(stream, payload(int64(i), 65536)); err != nil {
			return nil, err
		}
	}
	return result{"finished": count}, nil
}

// The server says GOAWAY after the last stream; the connection then has to end.
func serverGoAway(session *spdystream.Connection) (result, error) {
	stream, err := open(session, http.Header{"Goaway": {"1"}})
	if err != nil {
		return nil, err
	}
	if err := mirror(stream, payload(1, 4096)); err != nil {
		return nil, err
	}
	select {
	case <-session.CloseChan():
		return result{}, nil
	case <-time.After(replyWait):
		return nil, errors.New("no GOAWAY and no end of the connection")
	}
}

// ---- a forwarded connection that the server's side does not read

const (
	echoPort, stuckPort = "7", "9"
	others              = 24
	// More than any buffer on the way takes, the kernel's included.
	floodBytes = 48 << 20
)

// A connection as kubectl forwards it: an error stream, which is ended at once, and a data stream.
func forward(session *spdystream.Connection, port string, request int) (*spdystream.Stream, error) {
	headers := func(kind string) http.Header {
		return http.Header{"Streamtype": {kind}, "Port": {port}, "Requestid": {fmt.Sprint(request)}}
	}
	failure, err := open(session, headers("error"))
	if err != nil {
		return nil, err
	}
	if err := failure.Close(); err != nil {
		return nil, err
	}
	// Its text, or its end: unread it would stop this peer.
	go io.Copy(io.Discard, failure)
	return open(session, headers("data"))
}

// The pattern of pattern.rs, from an offset on.
func pattern(offset, size int) []byte {
	bytes := make([]byte, size)
	for i := range bytes {
		at := (offset + i) % (1 << 16)
		bytes[i] = byte(at*31 + at>>8)
	}
	return bytes
}

// A byte there and back on each of some connections, which stay open.
func roundTrips(streams []*spdystream.Stream, value byte) error {
	for _, stream := range streams {
		if _, err := stream.Write([]byte{value}); err != nil {
			return err
		}
		back := make([]byte, 1)
		if _, err := io.ReadFull(stream, back); err != nil || back[0] != value {
			return fmt.Errorf("%s: sent %d, got %d back, %v", stream, value, back[0], err)
		}
	}
	return nil
}

// Everything that shares the session with the one that is stuck.
type neighbours struct {
	session *spdystream.Connection
	streams []*spdystream.Stream
}

func meet(session *spdystream.Connection) (*neighbours, error) {
	all := &neighbours{session: session}
	for i := 0; i < others; i++ {
		stream, err := forward(session, echoPort, i)
		if err != nil {
			return nil, err
		}
		all.streams = append(all.streams, stream)
	}
	return all, roundTrips(all.streams, 1)
}

// A round trip on each, then a PING; how long it took.
func (all *neighbours) ask(value byte) (time.Duration, error) {
	begin := time.Now()
	if err := roundTrips(all.streams, value); err != nil {
		return 0, err
	}
	_, err := all.session.Ping()
	return time.Since(begin), err
}

// Ends each, and waits for the server's end.
func (all *neighbours) leave() error {
	for _, stream := range all.streams {
		if err := mirror(stream, []byte("last")); err != nil {
			return err
		}
	}
	return nil
}

// Writes to a stream until all is written, or until the stream has ended.
func flood(stream *spdystream.Stream, ended chan struct{}) int {
	for sent := 0; ; sent += 32 << 10 {
		select {
		case <-ended:
			return sent
		default:
		}
		if sent == floodBytes {
			return sent
		}
		if _, err := stream.Write(pattern(sent, 32<<10)); err != nil {
			return sent
		}
	}
}

// The server gives the stuck connection up after its grace time; all others go on then, and new ones come.
func unreadReset(session *spdystream.Connection) (result, error) {
	all, err := meet(session)
	if err != nil {
		return nil, err
	}
	stuck, err := forward(session, stuckPort, others)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		// The target says nothing: this is the end of the stream.
		io.Copy(io.Discard, stuck)
		close(ended)
	}()
	begin := time.Now()
	flooded := make(chan int, 1)
	go func() { flooded <- flood(stuck, ended) }()
	// They are asked all the time, while it stands still as well.
	asked := 0
	for over := false; !over; asked++ {
		if _, err := all.ask(byte(asked)); err != nil {
			return nil, err
		}
		select {
		case <-ended:
			over = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	took := time.Since(begin)
	sent := <-flooded
	if sent == floodBytes {
		return nil, errors.New("all was taken of what nobody reads")
	}
	after, err := all.ask(9)
	if err != nil {
		return nil, err
	}
	fresh, err := forward(session, echoPort, others+1)
	if err != nil {
		return nil, fmt.Errorf("a new connection: %w", err)
	}
	if err := mirror(fresh, []byte("fresh")); err != nil {
		return nil, err
	}
	fields := result{"sent": sent, "asked": asked, "reset_ms": took.Milliseconds(), "after_ms": after.Milliseconds()}
	return fields, all.leave()
}

// All stops with the stuck connection, PINGs too, and goes on when its reader comes back: nothing is lost.
func unreadPause(session *spdystream.Connection) (result, error) {
	all, err := meet(session)
	if err != nil {
		return nil, err
	}
	stuck, err := forward(session, stuckPort, others)
	if err != nil {
		return nil, err
	}
	flooded := make(chan int, 1)
	go func() { flooded <- flood(stuck, make(chan struct{})) }()
	// The first that gets no answer within a second has met the pause.
	answers := make(chan error, 1)
	ask := func(value byte) {
		_, err := all.ask(value)
		answers <- err
	}
	asked, paused := 0, false
	for !paused {
		asked++
		go ask(byte(asked))
		select {
		case err := <-answers:
			if err != nil {
				return nil, err
			}
			if asked > 100 {
				return nil, errors.New("nothing stops for a connection that nobody reads")
			}
			time.Sleep(50 * time.Millisecond)
		case <-time.After(time.Second):
			paused = true
		}
	}
	begin := time.Now()
	if err := <-answers; err != nil {
		return nil, err
	}
	took := time.Since(begin)
	if sent := <-flooded; sent != floodBytes {
		return nil, fmt.Errorf("%d bytes were sent of %d", sent, floodBytes)
	}
	if err := mirror(stuck, nil); err != nil {
		return nil, err
	}
	return result{"sent": floodBytes, "paused_ms": 1000 + took.Milliseconds()}, all.leave()
}
