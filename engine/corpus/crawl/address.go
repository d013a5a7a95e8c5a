package crawl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// ErrAddress is what errors.Is finds when a host resolves to an address that the crawler must not speak to.
var ErrAddress = errors.New("address is not public")

// special are the networks among those of version 4, and among the global unicast ones of version 6, that the IANA registries of
// special-purpose addresses keep for something else; and the address at which Azure serves its machines' secrets.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"168.63.129.16/32", "2001::/23", "2001:db8::/32", "3fff::/20",
)

// global is what IANA has given out of version 6. All else is local, experimental, or version 4 in disguise.
var global = netip.MustParsePrefix("2000::/3")

// translated are the networks whose addresses carry one of version 4, and at which byte.
var translated = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

func prefixes(list ...string) (ps []netip.Prefix) {
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// public reports whether an address is one of the open internet.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, t := range translated {
		if t.prefix.Contains(a) {
			b := a.As16()
			return public(netip.AddrFrom4([4]byte(b[t.at : t.at+4])))
		}
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !global.Contains(a) {
		return false
	}
	return !anyOf(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// localAddress is where names below localhost lead, and no name server is asked for them (RFC 6761, section 6.3). They are local all
// the same: the guard sees where they lead.
var localAddress = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func belowLocalhost(hostname string) bool {
	return strings.HasSuffix(strings.TrimSuffix(hostname, "."), ".localhost")
}

// dialLocal is dial, but for names below localhost.
func dialLocal(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && belowLocalhost(host) {
			address = net.JoinHostPort(localAddress.String(), port)
		}
		return dial(ctx, network, address)
	}
}

// guard is a Control function of a net.Dialer that refuses addresses which are neither public nor in an allowed network. It sees the
// address that is dialled, so no answer of a name server and no redirect gets around it.
func guard(allowed []netip.Prefix) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s", ErrAddress, address)
		}
		a := at.Addr().Unmap().WithZone("")
		if public(a) || anyOf(allowed, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return nil
		}
		return fmt.Errorf("%w: %s; private and local networks must be allowed by name", ErrAddress, a)
	}
}
