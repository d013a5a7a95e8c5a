package recipe

import "time"

// The schema. A field's tags are its contract: key (its name), default, range (an interval), oneof (its words), split (in
// a flag, commas separate the list), doc (one line, for help and docs), for (the kinds of stage that use it), path (its
// "@stage/…" refers to a stage's directory).
// A default of "auto" also makes the word auto acceptable; auto is the zero value and is filled in by whoever can know.

// A Recipe describes one run (its own embedded Stage) or, with Stages, a graph of them; then the embedded Stage holds
// what the stages share.
type Recipe struct {
	Version int `key:"version" default:"1" range:"[1,1]" doc:"version of the recipe format"`
	Stage
	Job    Job     `key:"job" doc:"how the scheduler treats the run"`
	Stages []Stage `key:"stages" doc:"the stages of a pipeline, each with a name, a kind and its sections"`

	preamble string // the comment lines at the head of the file
}

// Job is what the scheduler needs to know.
type Job struct {
	Priority     int           `key:"priority" default:"50" range:"[0,100]" doc:"0 to 100; a higher one goes first and may preempt a lower"`
	Restarts     int           `key:"restarts" default:"5" range:"[0,1000]" doc:"restarts allowed without a new checkpoint in between"`
	StopDuration time.Duration `key:"stop_duration" default:"5m" doc:"time a job has to save itself after being told to stop"`
	MaxDuration  time.Duration `key:"max_duration" default:"0s" doc:"time after which a job is stopped for good; 0s is no limit"`
}

// A Stage is one step of a pipeline: what to run, and the sections its kind reads.
type Stage struct {
	Name      string   `key:"name" default:"" doc:"name of the run or stage: letters, digits, - and _"`
	Kind      string   `key:"kind" default:"" oneof:"crawl|extract|filter|dedup|corpus|tokenizer|pack|pretrain|sft|eval|ngram" doc:"what the stage does"`
	Needs     []string `key:"needs" doc:"stages that must be finished first; @stage/… paths imply it"`
	Base      string   `key:"base" default:"" path:"yes" for:"pretrain sft eval ngram" doc:"model directory to start from, or to evaluate; of ngram, the run it is the baseline of"`
	Device    string   `key:"device" default:"auto" doc:"auto, cpu, cuda:N or sim" for:"pretrain sft eval"`
	Precision string   `key:"precision" default:"f32" oneof:"f32|bf16" for:"pretrain sft eval" doc:"bf16 keeps f32 masters, moments and statistics"`
	Seed      int      `key:"seed" default:"1337" range:"[0,]" doc:"seed of weights, shuffling and sampling"`

	Model     Model     `key:"model" for:"pretrain" doc:"the architecture"`
	Crawl     Crawl     `key:"crawl" for:"crawl" doc:"which pages are fetched, and how politely"`
	Filter    Filter    `key:"filter" for:"filter" doc:"which documents are kept; a threshold of 0 turns its rule off"`
	Dedup     Dedup     `key:"dedup" for:"dedup" doc:"which documents are taken for copies"`
	Data      Data      `key:"data" doc:"what is read"`
	Tokenizer Tokenizer `key:"tokenizer" for:"tokenizer pack pretrain sft eval ngram" doc:"which tokenizer, or how to train one"`
	Batch     Batch     `key:"batch" for:"pretrain sft eval" doc:"the work of one update"`
	Optim     Optim     `key:"optim" for:"pretrain sft" doc:"the optimizer and its schedule"`
	Train     Train     `key:"train" for:"pretrain sft" doc:"length, evaluation, checkpoints"`
	LoRA      LoRA      `key:"lora" for:"sft" doc:"low-rank adapters; rank 0 trains every weight"`
	Memory    Memory    `key:"memory" for:"pretrain sft" doc:"memory against speed"`
	Sample    Sample    `key:"sample" for:"pretrain sft eval" doc:"how text is generated"`
	Eval      Eval      `key:"eval" for:"eval" doc:"what is measured"`
	Ngram     Ngram     `key:"ngram" for:"ngram" doc:"the modified Kneser-Ney baseline"`

	marks map[string]mark // where each given key was written
}

// Model is an architecture: a preset, a depth from which the rest follows, or sizes. Sizes given beside a preset or a
// depth replace its own.
type Model struct {
	Preset   string  `key:"preset" default:"" doc:"published model whose sizes to use, such as gpt2-medium"`
	Arch     string  `key:"arch" default:"" oneof:"gpt2|llama|qwen2" doc:"family: positions, norms, activations"`
	Depth    int     `key:"depth" default:"0" range:"[0,200]" doc:"one dial: width, heads, learning rate, batch and length follow"`
	Layers   int     `key:"layers" default:"auto" range:"[1,1000]" doc:"transformer blocks"`
	Channels int     `key:"channels" default:"auto" range:"[1,65536]" doc:"width of the residual stream"`
	Heads    int     `key:"heads" default:"auto" range:"[1,1024]" doc:"attention heads"`
	KVHeads  int     `key:"kv_heads" default:"auto" range:"[1,1024]" doc:"key and value heads (GQA); auto is heads"`
	FFN      int     `key:"ffn" default:"auto" range:"[1,1048576]" doc:"width inside the feed-forward layer"`
	Context  int     `key:"context" default:"auto" range:"[1,1048576]" doc:"longest sequence, in tokens"`
	Vocab    int     `key:"vocab" default:"auto" range:"[2,16777216]" doc:"tokens; auto is the tokenizer's"`
	Tied     *bool   `key:"tied" default:"auto" doc:"share the embedding and the output layer"`
	RopeBase float64 `key:"rope_theta" default:"auto" range:"(0,]" doc:"base of the rotary frequencies"`
	NormEps  float64 `key:"norm_eps" default:"auto" range:"(0,1]" doc:"epsilon of the norms"`
}

// Data is what a stage reads: documents, token shards, or conversations.
type Data struct {
	Source      string            `key:"source" default:"" oneof:"goroot|jsonl|text|dir|store" for:"corpus pretrain tokenizer" doc:"kind of documents; store is what the web's steps make"`
	Path        string            `key:"path" default:"" path:"yes" for:"extract filter dedup corpus pretrain tokenizer" doc:"the documents' file, folder or s3://bucket/prefix"`
	Files       string            `key:"files" default:"jsonl.gz" oneof:"jsonl.gz|jsonl.zst|jsonl|parquet" for:"extract filter dedup" doc:"how documents are written"`
	MaxBytes    int               `key:"max_bytes" default:"0" range:"[0,]" for:"corpus tokenizer pack pretrain" doc:"read at most this much text; 0 is all"`
	Train       string            `key:"train" default:"" path:"yes" for:"tokenizer pack pretrain sft ngram" doc:"token shards, documents or examples to learn from"`
	Val         string            `key:"val" default:"" path:"yes" for:"pretrain sft eval ngram pack" doc:"the same, held out"`
	ValFraction float64           `key:"val_fraction" default:"0.01" range:"[0,0.5]" for:"corpus pack pretrain sft" doc:"share of documents held out where no val is given"`
	ShardTokens int               `key:"shard_tokens" default:"100000000" range:"[1024,1000000000]" for:"pack" doc:"tokens of one shard file"`
	Format      string            `key:"format" default:"auto" oneof:"auto|messages|sharegpt|alpaca|prompt-completion|text" for:"sft" doc:"layout of the examples"`
	Template    string            `key:"template" default:"base" path:"yes" for:"sft" doc:"base (the model's own), chatml, or a .jinja file"`
	TrainOn     string            `key:"train_on" default:"assistant" oneof:"assistant|completion|all" for:"sft" doc:"whose tokens are learnt"`
	Roles       map[string]string `key:"roles" for:"sft" doc:"renames roles: bot=assistant"`
}

// Tokenizer names a trained tokenizer, or says how to train one.
type Tokenizer struct {
	Path         string   `key:"path" default:"" path:"yes" for:"pack pretrain sft eval ngram" doc:"tokenizer.json, or a folder with one"`
	Kind         string   `key:"kind" default:"bpe" oneof:"bpe|wordpiece|unigram|spm-bpe|char|byte" for:"tokenizer pretrain" doc:"algorithm: bpe is over bytes, spm-bpe over characters"`
	Vocab        int      `key:"vocab" default:"8192" range:"[258,16777216]" for:"tokenizer pretrain" doc:"tokens, specials included"`
	MinFrequency int      `key:"min_frequency" default:"2" range:"[1,]" for:"tokenizer pretrain" doc:"pairs seen less often are not merged"`
	Specials     []string `key:"specials" for:"tokenizer pretrain" doc:"special tokens, after the end-of-text token"`
}

// Batch is the work of one optimizer update.
type Batch struct {
	Tokens  int  `key:"tokens" default:"auto" range:"[1,]" for:"pretrain sft" doc:"tokens of one update; accumulation follows"`
	Rows    int  `key:"rows" default:"auto" range:"[1,]" for:"pretrain sft" doc:"or rows of one update, each of context tokens"`
	Micro   int  `key:"micro" default:"auto" range:"[1,]" doc:"rows of one forward pass; auto is the most that fits"`
	Context int  `key:"context" default:"auto" range:"[1,1048576]" doc:"tokens of a row; auto is the model's context"`
	Packing bool `key:"packing" default:"true" for:"sft" doc:"several examples in a row, without attention between them"`
}

// Optim is the optimizer and the schedule of its learning rate.
type Optim struct {
	Kind         string     `key:"kind" default:"adamw" oneof:"adamw|muon" doc:"muon updates matrices by orthogonalised momentum, the rest by adamw"`
	LearningRate float64    `key:"learning_rate" default:"auto" range:"(0,10]" doc:"peak learning rate; auto follows the model's size"`
	Betas        [2]float64 `key:"betas" default:"[0.9, 0.95]" range:"[0,1)" doc:"decay of AdamW's two moments"`
	Eps          float64    `key:"eps" default:"1e-8" range:"(0,1]" doc:"AdamW's epsilon"`
	Momentum     float64    `key:"momentum" default:"0.95" range:"[0,1)" doc:"muon's momentum"`
	Decay        float64    `key:"decay" default:"0.1" range:"[0,10]" doc:"weight decay of matrices"`
	Clip         float64    `key:"clip" default:"1" range:"[0,]" doc:"largest norm of the gradient; 0 is off"`
	Warmup       Steps      `key:"warmup" default:"2%" doc:"steps, or a share of the run, in which the rate rises"`
	Schedule     string     `key:"schedule" default:"cosine" oneof:"cosine|wsd|linear|constant" doc:"how the rate falls"`
	Cooldown     Steps      `key:"cooldown" default:"20%" doc:"wsd: steps, or a share of the run, in which the rate falls"`
	Final        float64    `key:"final" default:"0.1" range:"[0,1]" doc:"rate at the end, as a share of the peak"`
	SpikeSkip    float64    `key:"spike_skip" default:"0" range:"[0,]" doc:"skip an update whose gradient norm is this many deviations above its mean; 0 is off"`
}

// Train is how long, and what happens on the way. At most one of Steps, Epochs and Tokens is given.
type Train struct {
	Steps      int      `key:"steps" default:"auto" range:"[1,]" doc:"optimizer updates"`
	Epochs     float64  `key:"epochs" default:"auto" range:"(0,]" doc:"or passes over the data"`
	Tokens     int      `key:"tokens" default:"auto" range:"[1,]" doc:"or tokens"`
	Minutes    float64  `key:"minutes" default:"0" range:"[0,]" doc:"save and end after this time even if steps are left; 0 is no limit"`
	EvalEvery  int      `key:"eval_every" default:"250" range:"[0,]" doc:"steps between validations and samples; 0 is only at the end"`
	EvalTokens int      `key:"eval_tokens" default:"262144" range:"[1,]" doc:"held-out tokens of one validation, at most"`
	SaveEvery  int      `key:"save_every" default:"1000" range:"[0,]" doc:"steps between checkpoints; 0 is only at the end"`
	Keep       int      `key:"keep" default:"2" range:"[1,]" doc:"checkpoints kept"`
	LogEvery   int      `key:"log_every" default:"10" range:"[1,]" doc:"steps between lines on the terminal"`
	Sample     []string `key:"sample" doc:"prompts completed at every validation"`
}

// LoRA is low-rank adaptation of frozen weights (Hu et al. 2021; rsLoRA: Kalajdzievski 2023).
type LoRA struct {
	Rank    int      `key:"rank" default:"0" range:"[0,4096]" doc:"rank of the adapters; 0 trains every weight"`
	Alpha   float64  `key:"alpha" default:"32" range:"(0,]" doc:"adapters are scaled by alpha / rank"`
	Dropout float64  `key:"dropout" default:"0" range:"[0,1)" doc:"dropout of the adapters' input"`
	Targets []string `key:"targets" default:"[all-linear]" doc:"all-linear, names such as q_proj, or regular expressions"`
	RSLoRA  bool     `key:"rslora" default:"false" doc:"scale by alpha / sqrt(rank)"`
}

// Memory trades speed for memory.
type Memory struct {
	Recompute string `key:"recompute" default:"none" oneof:"none|block" doc:"activations computed again in the backward pass"`
}

// Sample is how text is generated.
type Sample struct {
	Tokens            int      `key:"tokens" default:"64" range:"[1,1048576]" doc:"most tokens of a completion"`
	Temperature       float64  `key:"temperature" default:"0.8" range:"[0,100]" doc:"0 always takes the likeliest token"`
	TopK              int      `key:"top_k" default:"0" range:"[0,]" doc:"choose among the k likeliest; 0 is off"`
	TopP              float64  `key:"top_p" default:"1" range:"(0,1]" doc:"choose among the likeliest that hold this probability"`
	MinP              float64  `key:"min_p" default:"0" range:"[0,1]" doc:"leave out what is less likely than this share of the likeliest"`
	RepetitionPenalty float64  `key:"repetition_penalty" default:"1" range:"(0,10]" doc:"divides the logits of tokens already seen; 1 is off"`
	Stop              []string `key:"stop" doc:"texts that end a completion"`
}

// Eval is what is measured.
type Eval struct {
	Tasks   []string `key:"tasks" default:"[ppl, bpb]" oneof:"ppl|bpb|choice" doc:"perplexity, bits per byte, multiple choice"`
	Choices string   `key:"choices" default:"" path:"yes" doc:"file of multiple-choice questions (JSONL)"`
	Limit   int      `key:"limit" default:"0" range:"[0,]" doc:"tokens or questions, at most; 0 is all"`
}

// Ngram is the baseline that a neural model must beat.
type Ngram struct {
	Order  int `key:"order" default:"5" range:"[1,8]" doc:"longest n-gram"`
	Tokens int `key:"tokens" default:"0" range:"[0,]" doc:"without a base: training tokens counted; 0 is all"`
}
