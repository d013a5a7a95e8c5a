package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// packages are documentation in HTML: books, references and manuals. Several have a page in many languages, Portuguese too.
var packages = []string{
	"anarchism", "apache2-doc", "apt-doc", "bash-doc", "debian-edu-doc-en", "debian-edu-doc-pt-br", "debian-faq", "debian-faq-pt", "debian-handbook",
	"debian-policy", "debian-reference-en", "debian-reference-pt", "debian-reference-pt-br", "developers-reference", "exim4-doc-html",
	"focalinux-html", "git-doc", "installation-guide-amd64", "libreoffice-help-pt-br", "linux-doc", "maint-guide", "postgresql-doc",
	"python3-doc", "sqlite3-doc", "ubuntu-packaging-guide-html", "ubuntu-packaging-guide-html-pt-br",
}

// A debian is the files of a package.
type debian struct {
	name  string
	root  string   // of the file system that they are in
	pages []string // HTML files, relative to the root
}

var htmlName = regexp.MustCompile(`\.x?html?(\.[a-z]{2}([-_][A-Za-z]{2})?)?(\.utf8)?$`) // Apache's have the language last

// find gives a package that is installed, or unpacks it. One without pages that depends on others (python3-doc on
// python3.11-doc) stands for these.
func find(ctx context.Context, name, dir string) (p debian, err error) {
	if p, err = installed(ctx, name); err == nil && len(p.pages) > 0 {
		return p, nil
	}
	real := name
	if p, err = unpacked(name, dir); errors.Is(err, fs.ErrNotExist) {
		if real, err = standsFor(ctx, name); err != nil {
			return p, err
		}
		if err = fetch(ctx, real, name, dir); err == nil {
			p, err = unpacked(name, dir)
		}
	}
	if err == nil && len(p.pages) == 0 {
		err = errors.New("has no HTML pages")
	}
	return p, err
}

// installed lists a package's pages, and those of what it depends on and is named like.
func installed(ctx context.Context, name string) (p debian, err error) {
	names := []string{name}
	if real, err := standsFor(ctx, name); err == nil && real != name {
		names = append(names, real)
	}
	p = debian{name: name, root: "/"}
	for _, n := range names {
		out, err := exec.CommandContext(ctx, "dpkg-query", "-L", n).Output()
		if err != nil {
			continue
		}
		for file := range strings.Lines(string(out)) {
			file = strings.TrimPrefix(strings.TrimSpace(file), "/")
			if info, err := os.Lstat("/" + file); err == nil && info.Mode().IsRegular() && htmlName.MatchString(file) {
				p.pages = append(p.pages, file)
			}
		}
	}
	slices.Sort(p.pages)
	return p, nil
}

// standsFor is the package that one without files of its own depends on.
func standsFor(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--important", name).Output()
	if err != nil {
		return "", advise(fmt.Errorf("apt-cache does not know it: %w", err))
	}
	for line := range strings.Lines(string(out)) {
		on, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if ok && strings.Contains(on, "doc") && strings.HasPrefix(on, strings.TrimSuffix(name, "-doc")) && strings.ContainsAny(on, "0123456789") {
			return on, nil
		}
	}
	return name, nil
}

func unpacked(name, dir string) (debian, error) {
	p := debian{name: name, root: filepath.Join(dir, name)}
	err := filepath.WalkDir(p.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !htmlName.MatchString(path) {
			return err
		}
		rel, err := filepath.Rel(p.root, path)
		p.pages = append(p.pages, filepath.ToSlash(rel))
		return err
	})
	return p, err
}

// fetch downloads a package and unpacks it into dir/name, which appears whole.
func fetch(ctx context.Context, name, as, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	fmt.Fprintf(os.Stderr, "fetching %s\n", name)
	get := exec.CommandContext(ctx, "apt-get", "download", "-qq", name)
	get.Dir = temp
	if out, err := get.CombinedOutput(); err != nil {
		return advise(fmt.Errorf("apt-get download: %w: %s", err, bytes.TrimSpace(out)))
	}
	files, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("apt-get download left %d packages", len(files))
	}
	tree := filepath.Join(temp, "tree")
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", files[0], tree).CombinedOutput(); err != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", err, bytes.TrimSpace(out))
	}
	return os.Rename(tree, filepath.Join(dir, as))
}

func advise(err error) error {
	return fmt.Errorf("%w\n   this needs Debian or a system made of it, and once its package lists and the network:\n   apt-get update, or apt-get install %s",
		err, strings.Join(packages, " "))
}
