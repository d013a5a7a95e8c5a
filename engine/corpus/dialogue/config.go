package dialogue

// A Key is one threshold by name: Value points to an int, a float64 or a bool.
type Key struct {
	Name, Help string
	Value      any
}

// Config holds every threshold. Lengths are letters and digits for least, bytes for most.
type Config struct {
	MinQuestion, MaxQuestion int
	MinAnswer, MaxAnswer     int
	MinReply                 int     // of an answer in a thread that nobody marked or voted for
	MinShared                int     // words that such an answer has in common with the question
	MaxBefore                int     // messages of others that may stand before such an answer
	MinVotes                 int     // of the best voted answer
	MaxTurns                 int     // messages of a conversation
	MinLanguage              float64 // score from which on a language is believed
	Languages                []string
	Redact                   bool // replace e-mail and public IP addresses and telephone numbers
	Statements               bool // take headings of FAQs that do not ask, of the rank of those that do
	Interleaved              bool // take quoted questions with the answers below them from mails
}

// Default are the thresholds that the measurements were made with.
func Default() Config {
	return Config{
		// "What is X?" is the shortest that says what it asks for. Beyond the longest, a question is a report or a log.
		MinQuestion: 8, MaxQuestion: 6000,
		// Eight words say more than yes or no. Longer answers than this are articles, which do not fit in a context with the question.
		MinAnswer: 40, MaxAnswer: 8000,
		// Without a mark by the asker or voters an answer has to show by its length, its words and its place that it is one: short
		// replies are mostly chat, and what comes late answers the others and not the question.
		MinReply: 100, MinShared: 3, MaxBefore: 2, MinVotes: 1,
		MaxTurns:    8,
		MinLanguage: 0.65, // FineWeb's
		Redact:      true, Statements: true, Interleaved: true,
	}
}

// Keys are the thresholds by name, in order.
func (c *Config) Keys() []Key {
	return []Key{
		{Name: "chat.min_question", Help: "fewest letters and digits of a question", Value: &c.MinQuestion},
		{Name: "chat.max_question", Help: "most bytes of a question", Value: &c.MaxQuestion},
		{Name: "chat.min_answer", Help: "fewest letters and digits of an answer", Value: &c.MinAnswer},
		{Name: "chat.max_answer", Help: "most bytes of an answer", Value: &c.MaxAnswer},
		{Name: "chat.min_reply", Help: "fewest letters and digits of a reply that nobody marked as the answer or voted for", Value: &c.MinReply},
		{Name: "chat.min_shared", Help: "fewest words that such a reply has in common with the question", Value: &c.MinShared},
		{Name: "chat.max_before", Help: "most messages of others before such a reply", Value: &c.MaxBefore},
		{Name: "chat.min_votes", Help: "fewest votes that make an answer the best", Value: &c.MinVotes},
		{Name: "chat.max_turns", Help: "most messages of a conversation", Value: &c.MaxTurns},
		{Name: "chat.min_language", Help: "score from which on a language is believed", Value: &c.MinLanguage},
		{Name: "chat.redact", Help: "replace e-mail and public IP addresses and telephone numbers", Value: &c.Redact},
		{Name: "chat.statements", Help: "take headings of FAQs that do not ask, of the rank of those that do", Value: &c.Statements},
		{Name: "chat.interleaved", Help: "take quoted questions with the answers below them from mails", Value: &c.Interleaved},
	}
}

// Reasons to leave a question out.
const (
	noAnswer         = "no answer"
	noQuestion       = "does not ask"
	shortQuestion    = "question too short"
	longQuestion     = "question too long"
	shortAnswer      = "answer too short"
	longAnswer       = "answer too long"
	emptyAnswer      = "answer says nothing"
	linkAnswer       = "answer is a link"
	interview        = "an interview"
	cutOff           = "answer cut off"
	otherLanguage    = "languages differ"
	unwantedLanguage = "language not wanted"
)

var reasons = []string{noAnswer, noQuestion, shortQuestion, longQuestion, shortAnswer, longAnswer, emptyAnswer, linkAnswer, interview, cutOff, otherLanguage, unwantedLanguage}
