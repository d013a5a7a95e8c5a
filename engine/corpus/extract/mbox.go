package extract

import (
	"bytes"
	"encoding/base64"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"slices"
	"strings"
)

// maxParts bounds the parts that are looked at in one message.
const maxParts = 64

// A Letter is one message of a mailbox.
type Letter struct {
	ID      string   // Message-ID, without the angle brackets
	Answers []string // IDs of the messages that it answers, the direct one first
	Author  string   // name, or of an address alone what stands before the @
	Date    string   // YYYY-MM-DD
	Subject string
	Text    string
}

// Letters yields the messages of a mailbox that have text, in order.
func Letters(data []byte) iter.Seq[Letter] {
	return func(yield func(Letter) bool) {
		rest := data
		for len(rest) > 0 {
			if bytes.HasPrefix(rest, []byte("From ")) {
				_, rest, _ = bytes.Cut(rest, []byte("\n"))
			}
			one := rest
			if k := bytes.Index(rest, []byte("\nFrom ")); k >= 0 {
				one, rest = rest[:k+1], rest[k+1:]
			} else {
				rest = nil
			}
			m, err := mail.ReadMessage(bytes.NewReader(one))
			if err != nil {
				continue // a line of text that began with "From ", or no message
			}
			text := strings.TrimSpace(messageText(m))
			if text == "" {
				continue
			}
			l := Letter{ID: first(messageIDs(m.Header.Get("Message-ID"))...), Author: sender(m.Header.Get("From")),
				Subject: headerText(m.Header.Get("Subject")), Text: text}
			l.Answers = messageIDs(m.Header.Get("In-Reply-To"))
			references := messageIDs(m.Header.Get("References"))
			slices.Reverse(references) // the direct one stands last
			l.Answers = append(l.Answers, references...)
			if t, err := m.Header.Date(); err == nil {
				l.Date = t.UTC().Format("2006-01-02")
			}
			if !yield(l) {
				return
			}
		}
	}
}

// maxReferences bounds the messages that one says it answers.
const maxReferences = 64

var messageIDRE = regexp.MustCompile(`<([^<>\s]{1,250})>`)

func messageIDs(header string) (ids []string) {
	for _, m := range messageIDRE.FindAllStringSubmatch(clip(header, 1<<14), maxReferences) {
		ids = append(ids, m[1])
	}
	return ids
}

// Mbox reads a mailbox: the messages in order, each with its author's name, date, subject, and text. Addresses are left out.
func Mbox(data []byte) Result {
	r := Result{Type: Mail}
	var b strings.Builder
	for l := range Letters(data) {
		if b.Len() >= maxText {
			break
		}
		if r.Title == "" {
			r.Title, r.Author, r.Date = l.Subject, l.Author, l.Date
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		for _, s := range []string{l.Author, l.Date, l.Subject} {
			if s != "" {
				b.WriteString(s + "\n")
			}
		}
		b.WriteString("\n" + l.Text)
	}
	r.Text = plain(b.String())
	return r
}

// sender is the name in a From header, or of an address alone what stands before the @.
func sender(s string) string {
	a, err := mail.ParseAddress(s)
	if err != nil {
		name, _, _ := strings.Cut(s, "<")
		name, _, _ = strings.Cut(name, "@")
		return headerText(name)
	}
	if a.Name != "" {
		return headerText(a.Name)
	}
	name, _, _ := strings.Cut(a.Address, "@")
	return name
}

func headerText(s string) string {
	d := mime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(io.LimitReader(in, 1<<16))
		return bytes.NewReader(decode(b, "text/plain; charset="+charset)), err
	}}
	s = clip(s, 4000)
	if t, err := d.DecodeHeader(s); err == nil {
		s = t
	}
	return strings.Trim(oneLine(s), `"`)
}

// messageText is a message's plain text, or else the text of its HTML.
func messageText(m *mail.Message) string {
	type part struct {
		kind, encoding string
		body           io.Reader
	}
	var page string
	stack := []part{{m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body}}
	for n := 0; len(stack) > 0 && n < maxParts; n++ {
		p := stack[0]
		stack = stack[1:]
		kind, params, err := mime.ParseMediaType(p.kind)
		if err != nil {
			kind = "text/plain"
		}
		switch strings.ToLower(p.encoding) {
		case "base64":
			p.body = base64.NewDecoder(base64.StdEncoding, p.body)
		case "quoted-printable":
			p.body = quotedprintable.NewReader(p.body)
		}
		switch {
		case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "":
			for in := multipart.NewReader(p.body, params["boundary"]); len(stack) < maxParts; {
				q, err := in.NextRawPart()
				if err != nil {
					break
				}
				b, err := io.ReadAll(io.LimitReader(q, maxEntry))
				if err != nil && len(b) == 0 {
					break
				}
				stack = append(stack, part{q.Header.Get("Content-Type"), q.Header.Get("Content-Transfer-Encoding"), bytes.NewReader(b)})
			}
		case kind == "text/plain":
			b, _ := io.ReadAll(io.LimitReader(p.body, maxEntry)) // what a broken encoding still gives is kept
			if s := plain(string(decode(b, p.kind))); s != "" {
				return s
			}
		case kind == "text/html" && page == "":
			b, _ := io.ReadAll(io.LimitReader(p.body, maxEntry))
			q := measure(parse(decode(b, p.kind)))
			w := &writer{max: maxText}
			q.render(w, 0)
			page = w.b.String()
		}
	}
	return page
}
