package extract

import "strings"

// A hint is what the class names, the id and the role of an element say about its purpose, as a set of bits. Authors name
// things after what they are, in English nearly everywhere; a name alone never decides, the text within must agree.
type hint uint32

const (
	hintChrome    hint = 1 << iota // navigation, banners, sharing, advertising: never content
	hintPost                       // one message of a discussion
	hintAuthor                     // who wrote it
	hintDate                       // when
	hintBody                       // the text of a message
	hintQuote                      // of another message
	hintSignature                  // below a message, about its author
	hintCaption                    // about a picture
	hintReview                     // customers' opinions
	hintHidden                     // for screen readers or scripts only
	hintProfile                    // about the author of a message: rank, joined, posts
)

var words = map[string]hint{}

func init() {
	for h, list := range map[hint]string{
		hintChrome: `nav navbar navigation navigations menu menus submenu megamenu footer foot breadcrumb breadcrumbs crumb crumbs cookie
			cookies consent gdpr share shares sharing sharebar social socials sharethis addthis newsletter subscription
			signup advert adverts advertisement advertising ads adsense adslot adsbygoogle sponsor
			sponsored popup modal lightbox overlay toolbar pagination pager paginator paging pagenav masthead skiplink
			skiplinks offcanvas drawer minicart cart copyright respond related recommended recommendations recommendation outbrain
			taboola sitemap topbar navmenu colophon cookiebanner paywall announcement sharer jumplinks
			feedback helpful upsell crosssell recirc trending mostpopular readnext morestories backtotop editsection noprint navbox
			metadata catlinks reflist mw-jump printfooter`,
		hintPost: `post message comment reply answer question postcontainer postbit postbitlegacy thing forumpost bbp-topic ipscomment msg
			postwrapper comtr cpost commentwrapper commentbox`,
		hintAuthor: `author username user creator postauthor poster nickname nick hnuser fn commenter member displayname screenname
			bigusername authorname membername profile-link byline postername memberitem`,
		hintDate: `date time timestamp datetime postdate published posted age created dateline relativetime ago dateposted`,
		hintBody: `content body text postbody messagebody bbwrapper cooked commtext usertext md postcontent messagecontent post_message
			postmessage commentbody commentcontent commenttext prose inner postmsg messagetext posttext richtext markdown
			item-message userContent`,
		hintQuote: `quote quoted quotecontent bbquote ipsquote quotecontainer quotemain quotetop`,
		hintSignature: `signature sig signatures postsignature reactions reaction likes likers edited lastedit edit editedby lastmodified
			postlinkbar attachments-list`,
		hintCaption: `caption captions credit credits figcaption imagecaption legende bildunterschrift`,
		hintReview:  `review reviews bewertungen avaliacoes ugc yotpo bazaarvoice bv okendo stamped judgeme testimonials questions`,
		hintHidden: `hidden sr visuallyhidden screenreader offscreen hide invisible visually-hidden screen-reader-text sr-only
			screen-reader d-none noscreen a11y-hidden u-hidden is-hidden`,
		hintProfile: `userinfo user-info user-details userdetails profile postprofile postuser poster_info usertitle user-title userbanner
			userextras avatar authorinfo author-info author-details joined reputation karma message-cell--user message-user
			user-stats cauthorpane badges ranks rank userrank post-author-info trust-level poster-info memberinfo`,
	} {
		for _, w := range strings.Fields(list) {
			words[strings.ToLower(w)] |= h
		}
	}
}

// hints looks up every name in a class attribute or id: whole names, and the words that hyphens, underscores and capitals
// divide them into. Names that say what a page has elsewhere (has-sidebar, no-footer, with-nav) say nothing.
func hints(names string) (h hint) {
next:
	for _, name := range strings.Fields(names) {
		if len(name) > 80 {
			continue
		}
		low := strings.ToLower(name)
		if len(low) != len(name) {
			continue // letters outside ASCII
		}
		h |= words[low] | words[strings.TrimRight(low, "-_0123456789")]
		start := 0
		for k := 0; k <= len(name); k++ {
			edge := k == len(name)
			if !edge {
				c := name[k]
				switch {
				case c == '-' || c == '_' || c == ':' || c == '/' || c == '.' || '0' <= c && c <= '9':
					edge = true
				case 'A' <= c && c <= 'Z' && k > start && 'a' <= name[k-1] && name[k-1] <= 'z':
					edge = true
				}
			}
			if !edge {
				continue
			}
			if start < k {
				w := low[start:k]
				if start == 0 && k < len(name) {
					switch w {
					case "has", "with", "no", "without", "hide", "show", "js", "is", "not":
						continue next
					}
				}
				h |= words[w] &^ hintHidden // overflow-hidden hides nothing
			}
			start = k
			if k < len(name) && !('A' <= name[k] && name[k] <= 'Z') {
				start = k + 1
			}
		}
	}
	return h
}
