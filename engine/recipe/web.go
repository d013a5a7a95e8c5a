package recipe

import "time"

// The sections of the stages that make documents of the web.

// Crawl is which pages are fetched, and how politely.
type Crawl struct {
	Seeds        []string      `key:"seeds" split:"yes" doc:"URLs to start at"`
	Contact      string        `key:"contact" default:"" doc:"URL or mail address at which site owners can reach you"`
	Agent        string        `key:"agent" default:"ForjaBot" doc:"product token, which robots.txt may name"`
	Previous     string        `key:"previous" default:"" path:"yes" doc:"directory of an earlier crawl: what has not changed is not fetched again"`
	Depth        int           `key:"depth" default:"-1" range:"[-1,]" doc:"links from a start, at most; -1 is no limit"`
	AnyHost      bool          `key:"any_host" default:"false" doc:"follow links to other hosts"`
	Host         []string      `key:"host" split:"yes" doc:"another host to visit, .example.org for all below it"`
	Prefix       []string      `key:"prefix" doc:"visit only URLs that begin so"`
	Include      []string      `key:"include" doc:"visit only URLs that match a regular expression"`
	Exclude      []string      `key:"exclude" doc:"do not visit URLs that match a regular expression"`
	Type         []string      `key:"type" split:"yes" doc:"media type to archive, by its beginning; none is text and documents"`
	Delay        time.Duration `key:"delay" default:"1s" doc:"time between requests to a host, at least; 0s only where you own the host"`
	ByHost       bool          `key:"by_host" default:"false" doc:"keep the delay for each host; without it, hosts at one address share it"`
	MaxDelay     time.Duration `key:"max_delay" default:"30s" doc:"most time that a slow host brings about"`
	DelayFactor  float64       `key:"delay_factor" default:"5" range:"[0,1000]" doc:"wait this many times as long as the last page took"`
	Workers      int           `key:"workers" default:"64" range:"[1,10000]" doc:"requests at a time"`
	PerHost      int           `key:"per_host" default:"8" range:"[1,1000]" doc:"requests to a host at a time, with delay 0s"`
	MaxPages     int           `key:"max_pages" default:"0" range:"[0,]" doc:"pages to archive, at most; 0 is no limit"`
	HostURLs     int           `key:"host_urls" default:"1000000" range:"[1,]" doc:"URLs of a host, at most: some are endless"`
	MaxBody      int           `key:"max_body" default:"10485760" range:"[1,]" doc:"bytes of a page, received and unpacked; the rest is cut off"`
	Timeout      time.Duration `key:"timeout" default:"1m" doc:"time for a page"`
	NoSitemaps   bool          `key:"no_sitemaps" default:"false" doc:"do not read sitemaps and feeds"`
	AllowNetwork []string      `key:"allow_network" split:"yes" doc:"private network to allow, such as 127.0.0.0/8"`
	WARCSize     int           `key:"warc_size" default:"1000000000" range:"[1,]" doc:"bytes of a WARC file, about"`
	Gzip         int           `key:"gzip" default:"1" range:"[1,9]" doc:"compression of WARC files: 1 is fast, 9 is small"`
}

// Filter is which documents are kept. The thresholds are FineWeb's; 0 turns a rule off.
type Filter struct {
	Languages     []string         `key:"languages" split:"yes" doc:"keep documents whose text is in these languages; none keeps all"`
	LanguageScore float64          `key:"language_score" default:"0.65" range:"[0,1]" doc:"least score of a document's language"`
	Language      string           `key:"language" default:"en" doc:"language of documents that tell none, for their stop words"`
	URL           URLLists         `key:"url" doc:"block lists of URLs, each a file with an entry a line"`
	Repetition    GopherRepetition `key:"gopher_repetition" doc:"what repeats itself"`
	Quality       GopherQuality    `key:"gopher_quality" doc:"words and lines"`
	C4            C4               `key:"c4" doc:"lines to drop, and what is left"`
	FineWeb       FineWeb          `key:"fineweb" doc:"shares of lines"`

	Decontaminate      []string `key:"decontaminate" split:"yes" doc:"files with texts of evaluation sets (lines, or .jsonl), which no document may repeat"`
	DecontaminateNgram int      `key:"decontaminate_ngram" default:"12" range:"[2,1000]" doc:"words in a row that a document must not have in common with them"`
	Redact             bool     `key:"redact" default:"true" doc:"replace e-mail and public IP addresses and telephone numbers in what is kept"`
}

// URLLists are files of block lists.
type URLLists struct {
	Domains   string `key:"domains" default:"" path:"yes" doc:"domains, with all below them"`
	URLs      string `key:"urls" default:"" path:"yes" doc:"addresses"`
	Words     string `key:"words" default:"" path:"yes" doc:"words of an address of which one blocks"`
	SoftWords string `key:"soft_words" default:"" path:"yes" doc:"words of which two block"`
	Subwords  string `key:"subwords" default:"" path:"yes" doc:"letters and digits that an address must not contain"`
}

// GopherRepetition is table A1 of Gopher (Rae et al. 2021): shares of a document that are repeated.
type GopherRepetition struct {
	DupParaFrac     float64 `key:"dup_para_frac" default:"0.3" range:"[0,1]" doc:"most repeated paragraphs"`
	DupParaCharFrac float64 `key:"dup_para_char_frac" default:"0.2" range:"[0,1]" doc:"most characters in repeated paragraphs"`
	DupLineFrac     float64 `key:"dup_line_frac" default:"0.3" range:"[0,1]" doc:"most repeated lines"`
	DupLineCharFrac float64 `key:"dup_line_char_frac" default:"0.2" range:"[0,1]" doc:"most characters in repeated lines"`
	Top2            float64 `key:"top_2_gram" default:"0.2" range:"[0,1]" doc:"most characters in the most frequent 2-gram"`
	Top3            float64 `key:"top_3_gram" default:"0.18" range:"[0,1]" doc:"most characters in the most frequent 3-gram"`
	Top4            float64 `key:"top_4_gram" default:"0.16" range:"[0,1]" doc:"most characters in the most frequent 4-gram"`
	Dup5            float64 `key:"duplicated_5_n_grams" default:"0.15" range:"[0,1]" doc:"most characters in repeated 5-grams"`
	Dup6            float64 `key:"duplicated_6_n_grams" default:"0.14" range:"[0,1]" doc:"most characters in repeated 6-grams"`
	Dup7            float64 `key:"duplicated_7_n_grams" default:"0.13" range:"[0,1]" doc:"most characters in repeated 7-grams"`
	Dup8            float64 `key:"duplicated_8_n_grams" default:"0.12" range:"[0,1]" doc:"most characters in repeated 8-grams"`
	Dup9            float64 `key:"duplicated_9_n_grams" default:"0.11" range:"[0,1]" doc:"most characters in repeated 9-grams"`
	Dup10           float64 `key:"duplicated_10_n_grams" default:"0.1" range:"[0,1]" doc:"most characters in repeated 10-grams"`
}

// GopherQuality is Gopher's other rules. Punctuation is no word.
type GopherQuality struct {
	MinWords      int     `key:"min_words" default:"50" range:"[0,]" doc:"fewest words"`
	MaxWords      int     `key:"max_words" default:"100000" range:"[0,]" doc:"most words"`
	MinWordLength float64 `key:"min_word_length" default:"3" range:"[0,]" doc:"least mean length of words"`
	MaxWordLength float64 `key:"max_word_length" default:"10" range:"[0,]" doc:"greatest mean length of words"`
	MaxSymbols    float64 `key:"max_symbols" default:"0.1" range:"[0,]" doc:"most # or ellipses per word"`
	MaxBullets    float64 `key:"max_bullets" default:"0.9" range:"[0,1]" doc:"most lines that begin with a bullet, as a share"`
	MaxEllipses   float64 `key:"max_ellipses" default:"0.3" range:"[0,1]" doc:"most lines that end with an ellipsis, as a share"`
	MinAlpha      float64 `key:"min_alpha" default:"0.8" range:"[0,1]" doc:"fewest words with a letter, as a share"`
	MinStopWords  int     `key:"min_stop_words" default:"2" range:"[0,64]" doc:"fewest different stop words"`
}

// C4 drops lines, and documents by what is left (Raffel et al. 2020).
type C4 struct {
	MinSentences        int  `key:"min_sentences" default:"5" range:"[0,]" doc:"fewest sentences"`
	MinLineWords        int  `key:"min_line_words" default:"3" range:"[0,]" doc:"fewest words of a line"`
	MaxWordLength       int  `key:"max_word_length" default:"1000" range:"[0,]" doc:"longest word of a line, in characters"`
	TerminalPunctuation bool `key:"terminal_punctuation" default:"false" doc:"drop lines without terminal punctuation; FineWeb leaves this rule out"`
	Citations           bool `key:"citations" default:"true" doc:"remove [1], [edit] and [citation needed]"`
	LoremIpsum          bool `key:"lorem_ipsum" default:"true" doc:"drop documents with lorem ipsum"`
	JavaScript          bool `key:"javascript" default:"true" doc:"drop lines about JavaScript"`
	CurlyBracket        bool `key:"curly_bracket" default:"true" doc:"drop documents with {"`
	PolicyRule          bool `key:"policy" default:"true" doc:"drop lines about cookies and policies"`
}

// FineWeb is that recipe's own rules (Penedo et al. 2024).
type FineWeb struct {
	MinPunctuated float64 `key:"line_punct_ratio" default:"0.12" range:"[0,1]" doc:"fewest lines that end in terminal punctuation, as a share"`
	MaxShort      float64 `key:"short_line_ratio" default:"0.67" range:"[0,1]" doc:"most short lines, as a share"`
	ShortLine     int     `key:"short_line_length" default:"30" range:"[0,]" doc:"what is a short line, in characters"`
	MaxDupChars   float64 `key:"char_dup_ratio" default:"0.01" range:"[0,1]" doc:"most characters in repeated lines, as a share"`
	MaxNewlines   float64 `key:"list_ratio" default:"0.3" range:"[0,]" doc:"most line ends per word"`
}

// Dedup is which documents are taken for copies of another: MinHash, with candidates verified.
type Dedup struct {
	Exact  string  `key:"exact" default:"" oneof:"document|paragraph|line" doc:"remove what is repeated exactly instead: whole documents, or parts of them"`
	NGram  int     `key:"ngram" default:"5" range:"[1,100]" doc:"words of an n-gram"`
	Bands  int     `key:"bands" default:"14" range:"[1,4096]" doc:"keys of a document"`
	Rows   int     `key:"rows" default:"8" range:"[1,4096]" doc:"hash functions of a key"`
	Seed   int     `key:"seed" default:"1" range:"[0,]" doc:"seed of the hash functions"`
	Verify float64 `key:"verify" default:"0.72" range:"[0,1]" doc:"least Jaccard similarity of documents that are the same; 0 believes the keys"`
	Memory int     `key:"memory" default:"256" range:"[1,1048576]" doc:"MiB of memory for keys; others go to temporary files"`
}
