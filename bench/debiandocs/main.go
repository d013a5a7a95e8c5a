// Command debiandocs serves the HTML documentation in Debian's packages from loopback, each package as a web site of its
// own (http://git-doc.localhost:18700/), while a command runs. It is the web that `make corpus` crawls: thousands of real pages in many languages, whose
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
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	dir := flag.String("dir", "build/debian", "where packages are unpacked that are not installed")
	port := flag.Int("port", 18700, "port of the sites; always the same, so that a crawl can go on")
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
	host := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	listener, err := net.Listen("tcp", host)
	if err != nil {
		return fmt.Errorf("%w: choose another port with -port", err)
	}
	var seeds []string
	var pages, bytes int64
	sites := http.NewServeMux()
	for _, name := range packages {
		p, err := find(ctx, name, dir)
		if err != nil {
			return fmt.Errorf("package %s: %w", name, err)
		}
		s, err := newSite(p)
		if err != nil {
			return fmt.Errorf("package %s: %w", name, err)
		}
		defer s.close()
		sites.Handle(name+".localhost/", s)
		seeds = append(seeds, fmt.Sprintf("http://%s.localhost:%d/", name, port))
		pages += int64(len(s.pages))
		bytes += s.bytes
	}
	server := &http.Server{Handler: sites, ReadHeaderTimeout: 10 * time.Second}
	defer server.Close()
	go server.Serve(listener)
	fmt.Fprintf(os.Stderr, "%d pages, %d MB, of %d packages at %s\n", pages, bytes/1e6, len(packages), host)
	for i, argument := range command {
		command[i] = strings.ReplaceAll(argument, "{seeds}", strings.Join(seeds, ","))
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Minute // time to save what it is at
	return c.Run()
}
