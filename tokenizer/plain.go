package tokenizer

// plain is the pipeline with its parts as tokenizer.json has them.
func (p *Pipeline) plain() (*Pipeline, error) { return p, nil }
