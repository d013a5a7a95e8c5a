package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/crawl"
	"forja/engine/corpus/robots"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

// A crawlFlags is a crawl as the command line tells it.
type crawlFlags struct {
	o                                 crawl.Options
	out, seeds, previous, share       string
	include, exclude, networks, links []string
}

func (a *app) crawlCmd() *cobra.Command {
	var f crawlFlags
	c := &cobra.Command{Use: "crawl [URL...] -o DIR --contact URL", Args: cobra.ArbitraryArgs,
		Short: "fetch web sites into WARC files, politely; the same command goes on after a stop",
		Long: `Fetch web sites into WARC files, politely.

A crawl starts at the given URLs and stays on their hosts. It obeys robots.txt (RFC 9309, Crawl-delay), robots meta
elements, X-Robots-Tag and nofollow, waits between requests to a host, backs off when a host is busy, and tells every
server the contact, at which somebody must read. It can be stopped or killed at any moment: the same command goes on.
Private and local addresses are refused, whatever name or redirect leads to them, unless --allow-network names them.`,
		Example: "  forja crawl https://example.org/docs/ -o site --contact mailto:me@example.org --prefix https://example.org/docs/\n" +
			"  forja crawl -o site --contact mailto:me@example.org            (goes on)\n" +
			"  forja crawl https://example.org/docs/ -o site2 --previous site --contact mailto:me@example.org\n" +
			"  forja crawl --seeds seeds.txt --any-host --depth 3 --shard 0/4 -o part0 --contact mailto:me@example.org"}
	fs := c.Flags()
	fs.StringVarP(&f.out, "output", "o", "", "directory of the crawl: its WARC files are in warc/")
	fs.StringVar(&f.o.Contact, "contact", "", "URL or mail address at which site owners can reach you")
	fs.StringVar(&f.o.Agent, "agent", "ForjaBot", "product token, which robots.txt may name")
	fs.StringVar(&f.seeds, "seeds", "", "file with more URLs to start at, one a line")
	fs.StringVar(&f.previous, "previous", "", "directory of an earlier crawl: what has not changed is not fetched again")
	fs.IntVar(&f.o.Scope.MaxDepth, "depth", -1, "links from a start, at most; -1 is no limit")
	fs.BoolVar(&f.o.Scope.AnyHost, "any-host", false, "follow links to other hosts")
	fs.StringArrayVar(&f.o.Scope.Hosts, "host", nil, "another host to visit, .example.org for all below it; may be repeated")
	fs.StringArrayVar(&f.o.Scope.Prefixes, "prefix", nil, "visit only URLs that begin so; may be repeated")
	fs.StringArrayVar(&f.include, "include", nil, "visit only URLs that match a regular expression; may be repeated")
	fs.StringArrayVar(&f.exclude, "exclude", nil, "do not visit URLs that match a regular expression; may be repeated")
	fs.StringArrayVar(&f.o.Types, "type", nil, "media type to archive, by its beginning (text and documents); may be repeated")
	fs.DurationVar(&f.o.Delay, "delay", time.Second, "time between requests to a host, at least; 0 only where you own the host")
	fs.BoolVar(&f.o.ByHost, "by-host", false, "keep the delay for each host; without it, hosts at one address share it")
	fs.DurationVar(&f.o.MaxDelay, "max-delay", 30*time.Second, "most time that a slow host brings about")
	fs.Float64Var(&f.o.Factor, "delay-factor", 5, "wait this many times as long as the last page took")
	fs.IntVar(&f.o.Workers, "workers", 64, "requests at a time")
	fs.IntVar(&f.o.PerHost, "per-host", 8, "requests to a host at a time, with --delay 0")
	fs.IntVar(&f.o.MaxPages, "max-pages", 0, "pages to archive, at most; 0 is no limit")
	fs.IntVar(&f.o.Scope.HostURLs, "host-urls", 1_000_000, "URLs of a host, at most: some are endless")
	fs.Int64Var(&f.o.MaxBody, "max-body", 10<<20, "bytes of a page, received and unpacked; the rest is cut off")
	fs.DurationVar(&f.o.Timeout, "timeout", time.Minute, "time for a page")
	fs.BoolVar(&f.o.NoSitemaps, "no-sitemaps", false, "do not read sitemaps and feeds")
	fs.StringArrayVar(&f.networks, "allow-network", nil, "private network to allow, such as 127.0.0.0/8; may be repeated")
	fs.Int64Var(&f.o.MaxFile, "warc-size", 1_000_000_000, "bytes of a WARC file, about")
	fs.StringVar(&f.share, "shard", "0/1", "I/N: only this share of the hosts; links to others go to "+crawl.ForeignName)
	fs.StringArrayVar(&f.links, "links", nil, "the "+crawl.ForeignName+" of another share, of which this one takes its links; may be repeated")
	fs.IntVar(&f.o.Level, "gzip", 1, "compression of WARC files: 1 is fast, 9 is small")
	c.RunE = func(c *cobra.Command, args []string) error { return a.crawl(c.Context(), &f, args) }
	c.AddCommand(a.crawlRobotsCmd())
	return c
}

func (a *app) crawl(ctx context.Context, f *crawlFlags, args []string) error {
	if err := f.complete(args); err != nil {
		return err
	}
	log.SetOutput(io.Discard) // net/http writes there about servers that talk nonsense
	disk, err := vfs.MakeOS(f.out)
	if err != nil {
		return err
	}
	defer disk.Close()
	if f.previous != "" {
		previous, err := vfs.OS(f.previous)
		if err != nil {
			return usagef("--previous: %w", err)
		}
		defer previous.Close()
		f.o.Previous = previous
	}
	f.o.Progress = func(p crawl.Progress) {
		a.talk.progress("%s pages, %s in WARC, %s queued on %s hosts, %d in flight, %.0f pages/s", count(p.Pages), size(p.Bytes), count(p.Queued),
			count(p.Hosts), p.InFlight, float64(p.Fetched)/max(p.Elapsed.Seconds(), 1e-3))
	}
	links, closeLinks, err := openAll(f.links)
	if err != nil {
		return usagef("--links: %w", err)
	}
	defer closeLinks()
	f.o.Links = links
	p, err := crawl.Run(ctx, disk, f.o)
	a.talk.clear()
	if p.Elapsed > 0 {
		err = errors.Join(err, shard.WriteReport(context.WithoutCancel(ctx), store.In(disk), "crawl", p.Report()))
		if printErr := a.print(p, func(w io.Writer) { writeCrawl(w, p, f.out) }); err == nil {
			err = printErr
		}
	}
	if err != nil && ctx.Err() != nil {
		return goesOn{err}
	}
	if err == nil && p.Pages == 0 && len(p.Outcomes) > 0 && p.Outcomes["other share"] == 0 && p.Queued == 0 {
		return fmt.Errorf("no page was archived in %s: the table says what became of the URLs", f.out)
	}
	return err
}

// outcomeHelp explains outcomes of URLs, and what can be done about those that may be a mistake.
var outcomeHelp = map[string]string{
	"stored":          "pages",
	"copy":            "pages with the bytes of another",
	"unchanged":       "as in the previous crawl",
	"robots.txt":      "forbidden there",
	"noindex":         "the page asks not to be stored",
	"type":            "not of a wanted type, --type",
	"status":          "errors of the server, such as 404",
	"no answer":       "the next run tries again",
	"dead host":       "its host has no address or does not answer; the next run tries again",
	"private address": "refused: the same command asks them, with a network that --allow-network names",
}

// complete turns what the flags say into options, and checks it.
func (f *crawlFlags) complete(args []string) (err error) {
	if f.out == "" {
		return usagef("crawl needs a directory: -o DIR")
	}
	if exists(f.out) && !isFolder(f.out) {
		return usagef("-o %s is a file: a crawl is a directory", f.out)
	}
	if !strings.ContainsAny(f.o.Contact, ":@") {
		return usagef("crawl needs --contact, a URL or mail address at which site owners can reach you")
	}
	if f.o.Seeds, err = f.starts(args); err != nil {
		return err
	}
	for _, seed := range f.o.Seeds {
		if !strings.Contains(seed, "://") && exists(seed) {
			return usagef("%s is a file: want URLs, or --seeds with a file of them", seed)
		}
	}
	if _, err := os.Stat(filepath.Join(f.out, crawl.LogName)); len(f.o.Seeds)+len(f.links) == 0 && err != nil {
		return usagef("nothing to crawl: give URLs, or the directory of a crawl that was begun")
	}
	for _, r := range []struct {
		flag string
		from []string
		to   *[]*regexp.Regexp
	}{{"include", f.include, &f.o.Scope.Include}, {"exclude", f.exclude, &f.o.Scope.Exclude}} {
		for _, text := range r.from {
			compiled, err := regexp.Compile(text)
			if err != nil {
				return usagef("--%s: %w", r.flag, err)
			}
			*r.to = append(*r.to, compiled)
		}
	}
	for _, text := range f.networks {
		network, err := netip.ParsePrefix(text)
		if one, notOne := netip.ParseAddr(text); notOne == nil {
			network, err = netip.PrefixFrom(one, one.BitLen()), nil
		}
		if err != nil {
			return usagef("--allow-network %q is no network: want an address, or one and a length, such as 127.0.0.0/8", text)
		}
		f.o.Networks = append(f.o.Networks, network)
	}
	if f.o.Level < 1 || f.o.Level > 9 {
		return usagef("--gzip %d: want 1, which is fast, to 9, which is small", f.o.Level)
	}
	if f.o.Share, err = shard.Parse(f.share); err != nil {
		return usagef("--shard: %w", err)
	}
	f.o.Version = strings.ReplaceAll(version, " ", "-")
	if err := f.o.Check(); err != nil {
		return usageError{err}
	}
	return nil
}

// starts are the URLs of the command line and of --seeds.
func (f *crawlFlags) starts(args []string) ([]string, error) {
	if f.seeds == "" {
		return args, nil
	}
	in, err := os.Open(f.seeds)
	if err != nil {
		return nil, usagef("--seeds: %w", err)
	}
	defer in.Close()
	urls := slices.Clone(args)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			urls = append(urls, line)
		}
	}
	return urls, lines.Err()
}

// openAll opens files to be read one behind the other; none give nil.
func openAll(names []string) (r io.Reader, close func(), err error) {
	var files []*os.File
	var readers []io.Reader
	close = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			close()
			return nil, nil, err
		}
		files, readers = append(files, f), append(readers, f)
	}
	if len(files) == 0 {
		return nil, close, nil
	}
	return io.MultiReader(readers...), close, nil
}

// writeCrawl prints the summary of a crawl.
func writeCrawl(w io.Writer, p crawl.Progress, dir string) {
	seconds := max(p.Elapsed.Seconds(), 1e-3)
	fmt.Fprintf(w, "%s pages, %s, in %s; %d requests in %s, %.1f/s, %s of pages\n", count(p.Pages), size(p.Bytes), filepath.Join(dir, "warc"), p.Fetched,
		p.Elapsed.Round(time.Millisecond), float64(p.Fetched)/seconds, size(p.Received))
	for _, name := range slices.Sorted(maps.Keys(p.Outcomes)) {
		fmt.Fprintf(w, "  %-16s %-6d %s\n", name, p.Outcomes[name], outcomeHelp[name])
	}
	if p.Outcomes["other share"] > 0 {
		fmt.Fprintf(w, "  links to the hosts of other shares are in %s, which those take with --links\n", filepath.Join(dir, crawl.ForeignName))
	}
	if p.Queued > 0 {
		fmt.Fprintf(w, "  %-16s %-6d the same command goes on\n", "queued", p.Queued)
	}
}

func (a *app) crawlRobotsCmd() *cobra.Command {
	var lines bool
	c := &cobra.Command{Use: "robots --jsonl [FILE]", Short: "what robots.txt files allow (standard input without FILE)", Args: cobra.MaximumNArgs(1),
		Example: `  echo '{"robots":"User-agent: *\nDisallow: /x","agent":"ForjaBot","url":"https://example.org/x"}' | forja crawl robots --jsonl`}
	c.Flags().BoolVar(&lines, "jsonl", false, `lines of {"robots","agent","url"} to lines of {"allowed"}, one for one`)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if !lines {
			return usagef("crawl robots reads lines of JSON: give --jsonl")
		}
		return a.mapLines(args, func(dst, line []byte) ([]byte, error) {
			var in struct {
				Robots, Agent string
				URL           *string
			}
			if err := json.Unmarshal(line, &in); err != nil {
				return nil, corpus.Reason(err)
			}
			if in.URL == nil {
				return nil, errors.New(`no "url"`)
			}
			return fmt.Appendf(dst, "{\"allowed\":%t}\n", robots.Parse([]byte(in.Robots)).For(in.Agent).Allowed(*in.URL)), nil
		})
	}
	return c
}
