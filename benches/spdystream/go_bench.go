// The other side of benches/spdystream: a server on the unmodified Go package spdystream, to be compared with ours, and
// the one client that measures both.
//
//	go_bench server                       prints `LISTENING <port>` and serves until stdin ends
//	go_bench load PORT MODE STREAMS BYTES CHUNK
//	go_bench unread PORT STREAMS CHUNK PATIENCE_MS
//
// `load` moves BYTES in all over STREAMS streams that are open at once, in writes of CHUNK bytes, and prints one JSON line:
// {"seconds"}. `unread` opens STREAMS streams that the server never reads, writes to all of them until nothing moves any
// more, and then tries one more stream and a PING: {"written", "reset", "stream_ms", "ping_ms"}, where -1 is no answer
// within PATIENCE_MS.
//
// What a server does with a stream is in its headers. `mode` is sink (read to the end, then end), source (read to the end,
// write `bytes` bytes in writes of `chunk`, then end), echo or copy (each byte back; the two differ at our server alone), or
// hold (reply, and read nothing).
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/spdystream"
)

// How long anything may take that is not expected to stall.
const limit = 120 * time.Second

// Nothing has moved for this long: the peer has stalled. Shorter than the grace time of our server.
const stalled = 500 * time.Millisecond

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "go_bench: %s\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "server":
		return serve()
	case len(args) == 6 && args[0] == "load":
		numbers, err := parse(args[1], args[3], args[4], args[5])
		if err != nil {
			return err
		}
		return load(numbers[0], args[2], numbers[1], numbers[2], numbers[3])
	case len(args) == 5 && args[0] == "unread":
		numbers, err := parse(args[1:]...)
		if err != nil {
			return err
		}
		return unread(numbers[0], numbers[1], numbers[2], time.Duration(numbers[3])*time.Millisecond)
	}
	return fmt.Errorf("usage: server | load PORT MODE STREAMS BYTES CHUNK | unread PORT STREAMS CHUNK PATIENCE_MS")
}

func parse(texts ...string) ([]int, error) {
	numbers := []int{}
	for _, text := range texts {
		number, err := strconv.Atoi(text)
		if err != nil || number <= 0 {
			return nil, fmt.Errorf("%q is no number above 0", text)
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// ---- server

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("LISTENING %d\n", listener.Addr().(*net.TCPAddr).Port)
	// A bench that dies leaves no server behind: its end of our stdin closes with it.
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
		go session.Serve(accept)
	}
}

// Runs on one of the connection's five workers: what may block goes elsewhere.
func accept(stream *spdystream.Stream) {
	if err := stream.SendReply(http.Header{}, false); err != nil {
		return
	}
	go func() {
		if err := answer(stream); err != nil {
			fmt.Fprintf(os.Stderr, "go_bench server: %s: %s\n", stream, err)
		}
	}()
}

func answer(stream *spdystream.Stream) error {
	switch mode := stream.Headers().Get("mode"); mode {
	case "hold":
		return nil
	case "sink":
		if _, err := io.Copy(io.Discard, onlyReader{stream}); err != nil {
			return err
		}
	case "echo", "copy":
		if _, err := io.Copy(onlyWriter{stream}, onlyReader{stream}); err != nil {
			return err
		}
	case "source":
		numbers, err := parse(stream.Headers().Get("bytes"), stream.Headers().Get("chunk"))
		if err != nil {
			return err
		}
		// Not before the client reads all of its streams: one unread would stop this peer.
		if _, err := io.Copy(io.Discard, onlyReader{stream}); err != nil {
			return err
		}
		if err := write(stream, numbers[0], numbers[1]); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no mode %q", mode)
	}
	return stream.Close()
}

// io.Copy with its own buffer of 32 KiB, as Kubernetes copies.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

func write(stream *spdystream.Stream, bytes, chunk int) error {
	buffer := make([]byte, chunk)
	for bytes > 0 {
		n := chunk
		if n > bytes {
			n = bytes
		}
		if _, err := stream.Write(buffer[:n]); err != nil {
			return err
		}
		bytes -= n
	}
	return nil
}

// ---- client

func connect(port int) (*spdystream.Connection, error) {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), limit)
	if err != nil {
		return nil, err
	}
	session, err := spdystream.NewConnection(conn, false)
	if err != nil {
		return nil, err
	}
	go session.Serve(spdystream.NoOpStreamHandler)
	return session, nil
}

func open(session *spdystream.Connection, mode string, bytes, chunk int) (*spdystream.Stream, error) {
	headers := http.Header{"Mode": {mode}, "Bytes": {fmt.Sprint(bytes)}, "Chunk": {fmt.Sprint(chunk)}}
	stream, err := session.CreateStream(headers, nil, false)
	if err != nil {
		return nil, err
	}
	return stream, stream.WaitTimeout(limit)
}

func tell(fields map[string]interface{}) error {
	line, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return nil
}

func load(port int, mode string, count, bytes, chunk int) error {
	session, err := connect(port)
	if err != nil {
		return err
	}
	each := bytes / count
	streams := []*spdystream.Stream{}
	for i := 0; i < count; i++ {
		stream, err := open(session, mode, each, chunk)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		streams = append(streams, stream)
	}
	begin := time.Now()
	done := make(chan error, count)
	for _, stream := range streams {
		go func(stream *spdystream.Stream) { done <- exchange(stream, mode, each, chunk) }(stream)
	}
	timeout := time.After(limit)
	for range streams {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-timeout:
			return fmt.Errorf("not done after %s", limit)
		}
	}
	return tell(map[string]interface{}{"seconds": time.Since(begin).Seconds()})
}

// One stream: what is sent, and as much as has to come back.
func exchange(stream *spdystream.Stream, mode string, bytes, chunk int) error {
	wrote := make(chan error, 1)
	go func() {
		if mode != "source" {
			if err := write(stream, bytes, chunk); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- stream.Close()
	}()
	want := bytes
	if mode == "sink" {
		want = 0
	}
	got, err := io.Copy(io.Discard, onlyReader{stream})
	if err != nil {
		return err
	}
	if got != int64(want) {
		return fmt.Errorf("%s: got %d bytes back, expected %d", stream, got, want)
	}
	return <-wrote
}

func unread(port, count, chunk int, patience time.Duration) error {
	session, err := connect(port)
	if err != nil {
		return err
	}
	streams := []*spdystream.Stream{}
	for i := 0; i < count; i++ {
		stream, err := open(session, "hold", chunk, chunk)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		streams = append(streams, stream)
	}
	var written, reset int64
	buffer := make([]byte, chunk)
	for _, stream := range streams {
		stream := stream
		var over int32
		go func() {
			// Nothing ever comes: the end is that of a reset.
			io.Copy(io.Discard, onlyReader{stream})
			atomic.StoreInt32(&over, 1)
			atomic.AddInt64(&reset, 1)
		}()
		go func() {
			for atomic.LoadInt32(&over) == 0 {
				if _, err := stream.Write(buffer); err != nil {
					return
				}
				atomic.AddInt64(&written, int64(chunk))
			}
		}()
	}
	for last := int64(-1); last != atomic.LoadInt64(&written); {
		last = atomic.LoadInt64(&written)
		time.Sleep(stalled)
	}
	atStall := atomic.LoadInt64(&written)

	var group sync.WaitGroup
	var streamMillis, pingMillis int64
	group.Add(2)
	go func() {
		defer group.Done()
		streamMillis = within(patience, func() error { return another(session) })
	}()
	go func() {
		defer group.Done()
		pingMillis = within(patience, func() error {
			_, err := session.Ping()
			return err
		})
	}()
	group.Wait()
	return tell(map[string]interface{}{
		"written":   atStall,
		"reset":     atomic.LoadInt64(&reset),
		"stream_ms": streamMillis,
		"ping_ms":   pingMillis,
	})
}

// One more stream, which the server reads: a byte there and back.
func another(session *spdystream.Connection) error {
	stream, err := open(session, "echo", 1, 1)
	if err != nil {
		return err
	}
	if _, err := stream.Write([]byte{7}); err != nil {
		return err
	}
	_, err = io.ReadFull(stream, make([]byte, 1))
	return err
}

// How long it took, in ms; -1 if it has failed or was not done in time.
func within(patience time.Duration, try func() error) int64 {
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- try() }()
	select {
	case err := <-done:
		if err != nil {
			return -1
		}
		return time.Since(begin).Milliseconds()
	case <-time.After(patience):
		return -1
	}
}
