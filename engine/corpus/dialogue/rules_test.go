package dialogue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHeadingsAskByTheirWords(t *testing.T) {
	for _, c := range []struct {
		heading, question string
		asks, inFAQ       bool
	}{
		{"4.2. What is a capo?", "What is a capo?", true, true},
		{"A.1.1 What does it mean?", "What does it mean?", true, true},
		{"Q3: Which strings are best?", "Which strings are best?", true, true},
		{"How to tune a guitar", "How to tune a guitar", true, true},
		{"Step 2: How to hold it", "How to hold it", true, true},
		{"Como faço para afinar o violão", "Como faço para afinar o violão", true, true},
		{"O que é um capo", "O que é um capo", true, true},
		{"É difícil afinar um violão", "É difícil afinar um violão", false, true},
		{"Qual é o melhor violão?", "Qual é o melhor violão?", true, true},
		{"Can left-handed people play it", "Can left-handed people play it", false, true},
		{"What's new in version 3", "What's new in version 3", false, true},
		{"How it works", "How it works", false, false},
		{"Do you have a spare string?", "Do you have a spare string?", false, true},
		{"Ready to get started?", "Ready to get started?", false, false},
		{"Was this page helpful?", "Was this page helpful?", false, false},
		{"Ainda tem dúvidas?", "Ainda tem dúvidas?", false, false},
		{"Installation", "Installation", false, false},
		{"Why?", "Why?", false, false},
		{"", "", false, false},
	} {
		s, asks := question(c.heading, false)
		_, inFAQ := question(c.heading, true)
		assert.Equal(t, c.question, s, c.heading)
		assert.Equal(t, []bool{c.asks, c.inFAQ}, []bool{asks, inFAQ}, c.heading)
	}
}

func TestMessagesAskForSomethingOrSayIt(t *testing.T) {
	for s, want := range map[string]bool{
		"My lathe hums. It did not use to. What could that be?":                                                                                                  true,
		"I am stuck with the gears of my lathe, any ideas are welcome. It is an old one.":                                                                        true,
		"Não consigo abrir o torno. Alguém sabe como se faz?":                                                                                                    true,
		"The new lathe has arrived. Who would have thought so? It is green and heavy. " + "We put it beside the window, where there is light, and it runs well.": false,
		"It is a fine lathe, and that is what counts, right?":                                                                                                    false,
		"```\nwhat is this?\n```\nThe code above is of the lathe's controller.":                                                                                  false,
	} {
		assert.Equal(t, want, opens("A lathe", s), s)
	}
	assert.True(t, opens("How do I oil a lathe?", "It is old."))

	for s, want := range map[string]bool{
		"Which model is it? Does it hum all the time?":                                                     true,
		"It may be the belt. Did you look at it?":                                                          true,
		"I had that too. Any ideas what to do about it, folks?":                                            true,
		"Why does it hum? Because the belt is loose. Tighten the screw at the back, and it will be quiet.": false,
		"Tighten the belt.": false,
	} {
		assert.Equal(t, want, asksBack(s), s)
	}
}

func TestMessagesLoseWhatIsNotTheirText(t *testing.T) {
	names := []string{"Ana Lima", "bob77"}
	for in, want := range map[string]string{
		"Hi all,\n\nthe belt is loose.\n\nCheers,\nAna":                                   "the belt is loose.",
		"Hello Bob, the belt is loose.":                                                   "the belt is loose.",
		"Olá pessoal!\nA correia está frouxa.\n\nObrigado,\nAna Lima":                     "A correia está frouxa.",
		"@bob77 @someone: the belt is loose.":                                             "the belt is loose.",
		"bob77: the belt is loose.":                                                       "the belt is loose.",
		"the belt is loose.\nSent from my phone":                                          "the belt is loose.",
		"the belt is loose.\n\n---\nAna Lima\nlathes and belts":                           "the belt is loose.",
		"the belt is loose.\n_______________\nlathes mailing list\nhttp://x.example/list": "the belt is loose.",
		"the belt is loose.\n\nAna Lima\nWorkshop, room 4\nhttp://x.example/ana":          "the belt is loose.",
		"Hi-fi sets have belts.":                                                          "Hi-fi sets have belts.",
		"Highlight the belt.":                                                             "Highlight the belt.",
		"Thanks to the belt it turns. Dear belts are no better.":                          "Thanks to the belt it turns. Dear belts are no better.",
		"```\nhi all,\n\n\n---\nbye\n```":                                                 "```\nhi all,\n\n---\nbye\n```",
		"Re: Humming lathe\n\nSun Dec 17, 2023 11:23 am\n\nOil it":                        "Oil it",
		"": "",
	} {
		assert.Equal(t, want, message(in, names), in)
	}
}

func TestAnswersThatSayNothingAreKnown(t *testing.T) {
	for s, want := range map[string]bool{
		"Same here, following.": true, "Thanks, that is it!": true, "[deleted]": true, "+1": true, "I have the same problem with mine": true, "Obrigado!": true,
		"This comment has been removed by a moderator": true, "Tighten the belt.": false,
		"Thanks for asking. " + strings.Repeat("The belt has to be tight enough to turn the wheel. ", 4): false,
	} {
		assert.Equal(t, want, saysNothing(s), s)
	}
	assert.True(t, helpless("I don't know why yours does that, mine works fine here."))
	assert.False(t, helpless("Tighten the belt."))
	assert.True(t, onlyLinks("See https://example.org/belts/tight"))
	assert.False(t, onlyLinks("Tighten the belt."))
	assert.False(t, onlyLinks("Tighten the screw at the back until the belt no longer hums, as https://example.org/belts shows in its pictures."))
}

func TestEveryThresholdDecides(t *testing.T) {
	count := func(name string, set func(*Config)) (n int, all []Drop) {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		c := Default()
		set(&c)
		f := read(t, c, name, data)
		return len(f.Conversations), f.Dropped
	}
	for _, c := range []struct {
		name, file    string
		set           func(*Config)
		before, after int
	}{
		{"min_question", "faq.html", func(c *Config) { c.MinQuestion = 20 }, 6, 5},
		{"max_question", "thread-votes.html", func(c *Config) { c.MaxQuestion = 50 }, 1, 0},
		{"min_answer", "declared-faq.html", func(c *Config) { c.MinAnswer = 2 }, 2, 3},
		{"max_answer", "faq.html", func(c *Config) { c.MaxAnswer = 150 }, 6, 5},
		{"min_reply", "list.mbox", func(c *Config) { c.MinReply = 130 }, 3, 1},
		{"min_shared", "thread-turns.html", func(c *Config) { c.MinShared = 50 }, 1, 0},
		{"max_before", "thread-turns.html", func(c *Config) { c.MaxBefore = 0 }, 1, 0},
		{"min_votes", "microdata.html", func(c *Config) { c.MinVotes = 16 }, 1, 0},
		{"min_language", "documentation.pt.html", func(c *Config) { c.MinLanguage = 1.1 }, 2, 3},
		{"languages", "documentation.pt.html", func(c *Config) { c.Languages = []string{"en"} }, 2, 0},
		{"interleaved", "list.mbox", func(c *Config) { c.Interleaved = false }, 3, 1},
	} {
		n, _ := count(c.file, func(*Config) {})
		assert.Equal(t, c.before, n, c.name)
		n, dropped := count(c.file, c.set)
		assert.Equal(t, c.after, n, "%s %v", c.name, dropped)
	}

	data, err := os.ReadFile(filepath.Join("testdata", "thread-turns.html"))
	require.NoError(t, err)
	c := Default()
	c.MaxTurns = 2
	assert.Len(t, read(t, c, "a.html", data).Conversations[0].Messages, 2, "max_turns")

	data, err = os.ReadFile(filepath.Join("testdata", "declared-thread.html"))
	require.NoError(t, err)
	c = Default()
	c.Redact = false
	assert.Contains(t, read(t, c, "a.html", data).Conversations[0].Messages[1].Content, "marta@forge.example.org", "redact")

	entries := "<html lang=en><title>FAQ</title><main>" + strings.Repeat("<p>Some words about the things that follow below in this list of questions.</p>", 3)
	for _, q := range []string{"Why does the lamp smoke?", "Why does the wick burn low?", "Where is the oil kept?", "The glass is always black with soot"} {
		entries += "<h2>" + q + "</h2><p>" + q + " Trim the wick and fill the lamp with clean oil before you light it.</p>"
	}
	c = Default()
	assert.Len(t, read(t, c, "a.html", []byte(entries)).Conversations, 4)
	c.Statements = false
	assert.Len(t, read(t, c, "a.html", []byte(entries)).Conversations, 3, "statements")
	assert.Len(t, c.Keys(), 13)
}

func TestTalksWithAPersonAreNoQuestionsForEverybody(t *testing.T) {
	for _, c := range []struct {
		question, answer string
		want             bool
	}{
		{"How did you come to the harp?", "My uncle had one, and I was allowed to touch it.", true},
		{"Was gefällt Ihnen an der Harfe?", "Mir gefällt, wie lange sie klingt.", true},
		{"What makes a harp good?", "Ida Moor: Its wood, and who plays it.", true},
		{"What makes a harp good?", "Its wood. I have seen many.", false},
		{"How do you tune a harp?", "Turn the pegs with the key until the string is right.", false},
	} {
		assert.Equal(t, c.want, interviews(c.question, c.answer), c.question)
	}
}
