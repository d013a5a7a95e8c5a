package tokenizer_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"forja/tokenizer"
	"forja/tokenizer/split"
)

func trainSmall() *tokenizer.BPE {
	documents := []string{"the theme of the thesis", "they breathe there"}
	b, err := tokenizer.TrainBPE(context.Background(), slices.Values(documents), tokenizer.TrainOptions{
		VocabSize: 265,
		Specials:  []string{"<|end|>"},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func ExampleTrainBPE() {
	b := trainSmall()
	for _, id := range b.Encode("the thesis") {
		token, _ := b.Token(id)
		fmt.Printf("%d %q\n", id, token.Bytes)
	}
	// Output:
	// 258 "the"
	// 259 " the"
	// 83 "s"
	// 263 "is"
}

func ExampleWithSpecials() {
	b := trainSmall()
	trusted, err := tokenizer.WithSpecials(b, "<|end|>")
	if err != nil {
		panic(err)
	}
	fmt.Println(b.Count("<|end|>"), trusted.Count("<|end|>"), trusted.Encode("<|end|>"))
	// Output: 7 1 [0]
}

func ExampleWriteJSON() {
	var file bytes.Buffer
	b := trainSmall()
	if err := tokenizer.WriteJSON(&file, b); err != nil {
		panic(err)
	}
	again, err := tokenizer.ReadJSON(&file)
	if err != nil {
		panic(err)
	}
	fmt.Println(again.VocabSize(), tokenizer.Fingerprint(again) == tokenizer.Fingerprint(b))
	// Output: 265 true
}

func ExampleDecoder() {
	b := trainSmall()
	d := tokenizer.NewDecoder(b, true)
	for _, id := range append(b.Encode("é the"), 0) {
		fmt.Printf("%q ", d.Push(id))
	}
	fmt.Printf("%q\n", d.Flush())
	// Output: "" "é" " the" "" ""
}

func ExampleLoadTiktoken() {
	file := strings.NewReader("YWI= 256\n") // "ab", beside which a real file has all bytes
	_, err := tokenizer.LoadTiktoken(file, split.CL100K, tokenizer.Special{ID: 257, Content: "<|endoftext|>"})
	fmt.Println(err)
	// Output: read .tiktoken: build BPE tokenizer: byte 0x00 is not a token: a byte-level vocabulary needs all 256
}

func ExampleEncodeReader() {
	b := trainSmall()
	var ids []int32
	err := tokenizer.EncodeReader(b, strings.NewReader("the theme of the thesis"), func(more []int32) error {
		ids = append(ids, more...)
		return nil
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(slices.Equal(ids, b.Encode("the theme of the thesis")))
	// Output: true
}

func ExampleNewBert() {
	b, err := tokenizer.NewBert([]string{"[UNK]", "[CLS]", "[SEP]", "the", "##me", "!"}, false)
	if err != nil {
		panic(err)
	}
	text := "The theme!"
	for id, span := range b.Tokens(text) {
		token, _ := b.Token(id)
		fmt.Println(id, token.Bytes, text[span.Start:span.End])
	}
	fmt.Println(tokenizer.TemplateOf(b).Apply(b.Encode(text)))
	// Output:
	// 3 the The
	// 3 the the
	// 4 ##me me
	// 5 ! !
	// [1 3 3 4 5 2]
}

func ExampleOpen() {
	t, err := tokenizer.Open("testdata/parity/cl100k_base.tiktoken.gz", tokenizer.OpenOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Println(t.Encode("hello world"), tokenizer.Truncate(t, "hello world", 1))
	// Output: [15339 1917] hello
}
