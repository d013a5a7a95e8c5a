// Package chat turns conversations into tokens with a loss mask.
//
// It reads the usual instruction data sets (messages, ShareGPT, Alpaca,
// prompt-completion, text), renders conversations with the chat template of
// the model, a Jinja program, and marks the tokens that the model is to
// learn. Training and chatting use the same [Codec], so that a model sees at
// run time exactly the prompts it was trained on. Text that users or data
// sets supply never becomes a special token.
//
// Deliberately absent: tool calls and images in messages, and preference
// data, which belongs to engine/align.
package chat

import "fmt"

// The roles that templates know. Others reach the template as they are.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
	Tool      = "tool"
)

// A Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// An Example is a conversation, or else raw text that no template touches:
// a prompt, which is not trained, and its completion, which is.
type Example struct {
	Messages           []Message
	Prompt, Completion string
	Place              string // file:line, for messages to people
}

// TrainOn says which tokens of an example count.
type TrainOn string

const (
	TrainAssistant  TrainOn = "assistant"  // every turn of the assistant
	TrainCompletion TrainOn = "completion" // the last turn of the assistant
	TrainAll        TrainOn = "all"        // everything
)

func (on TrainOn) check() error {
	switch on {
	case TrainAssistant, TrainCompletion, TrainAll:
		return nil
	}
	return fmt.Errorf("cannot train on %q; want assistant, completion or all", string(on))
}
