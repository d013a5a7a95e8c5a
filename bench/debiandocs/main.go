// Command debiandocs serves the HTML documentation in Debian's packages from loopback, each package as a web site of its
// own, while a command runs. It is the web that `make corpus` crawls: thousands of real pages in many languages, whose
// licences allow it, and nobody's server is troubled.
//
//	debiandocs [-dir DIR] [-port N] COMMAND [ARGUMENT...]
//
// An argument {seeds} of the command becomes the addresses of the sites, with commas between them. Packages that are not
// installed are fetched by apt-get and unpacked into DIR, which needs no rights and, the second time, no network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	dir := flag.String("dir", "build/debian", "where packages are unpacked that are not installed")
	port := flag.Int("port", 18700, "port of the first site; each has the next one, so that a crawl can go on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *dir, *port, flag.Args())
	var child *exec.ExitError
	if errors.As(err, &child) {
		os.Exit(max(child.ExitCode(), 1))
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "debiandocs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, port int, command []string) error {
	if len(command) == 0 {
		return errors.New("say what to run while the sites are served")
	}
	var seeds []string
	var total, bytes int64
	for i, name := range packages {
		p, err := find(ctx, name, dir)
		if err != nil {
			return fmt.Errorf("package %s: %w", name, err)
		}
		s, err := newSite(p)
		if err != nil {
			return fmt.Errorf("package %s: %w", p.name, err)
		}
		defer s.close()
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			return fmt.Errorf("%w: choose other ports with -port", err)
		}
		server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
		defer server.Close()
		go server.Serve(listener)
		seeds = append(seeds, fmt.Sprintf("http://%s/", listener.Addr()))
		total += int64(len(s.pages))
		bytes += s.bytes
	}
	fmt.Fprintf(os.Stderr, "%d pages, %d MB, in %d packages at %s to %s\n", total, bytes/1e6, len(packages), seeds[0], seeds[len(seeds)-1])
	for i, argument := range command {
		command[i] = strings.ReplaceAll(argument, "{seeds}", strings.Join(seeds, ","))
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Minute // time to save what it is at
	return c.Run()
}
