package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/format/safetensors"
)

// file puts a length before a header and a body of zeros after it.
func file(header string, body int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, body)...)
}

func open(b []byte) (*safetensors.File, error) {
	return safetensors.Open(bytes.NewReader(b), int64(len(b)))
}

func tensor(dtype, shape, offsets string) string {
	return fmt.Sprintf(`{"dtype":"%s","shape":%s,"data_offsets":%s}`, dtype, shape, offsets)
}

func TestEverythingTheFormatForbidsIsRefused(t *testing.T) {
	good := tensor("U8", "[4]", "[0,4]")
	for _, c := range []struct {
		why, header string
		body        int
	}{
		{"does not start with {", ``, 0},
		{"does not start with {", ` {}`, 0},
		{"does not start with {", `[]`, 0},
		{"not UTF-8", "{\"a\xff\":" + good + "}", 4},
		{"want '\"', got the end", `{`, 0},
		{`want '"', got '}'`, `{"a":` + good + `,}`, 4},
		{"want ',' or '}', got '\"'", `{"a":` + good + `"b"}`, 4},
		{"want ':', got '{'", `{"a"` + good + `}`, 4},
		{"want only spaces after", `{"a":` + good + "}\n", 4},
		{"want only spaces after", `{"a":` + good + "}{}", 4},
		{"want only spaces after", `{"a":` + good + "}\x00", 4},
		{`two tensors are called "a"`, `{"a":` + good + `,"a":` + tensor("U8", "[4]", "[4,8]") + `}`, 8},
		{`two tensors are called "a"`, `{"a":` + good + `,"\u0061":` + tensor("U8", "[4]", "[4,8]") + `}`, 8},
		{"two __metadata__", `{"__metadata__":{},"__metadata__":{}}`, 0},
		{`two entries "a" in __metadata__`, `{"__metadata__":{"a":"","a":""}}`, 0},
		{`want '"', got '1'`, `{"__metadata__":{"a":1}}`, 0},
		{`want '"', got 'n'`, `{"__metadata__":{"a":null}}`, 0},
		{"two dtype", `{"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4},
		{"two shape", `{"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}}`, 4},
		{"two data_offsets", `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]}}`, 4},
		{`unknown key "Dtype"`, `{"a":{"Dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4},
		{`unknown key "SHAPE"`, `{"a":{"dtype":"U8","SHAPE":[4],"data_offsets":[0,4]}}`, 4},
		{"no dtype", `{"a":{"shape":[4],"data_offsets":[0,4]}}`, 4},
		{"no shape", `{"a":{"dtype":"U8","data_offsets":[0,4]}}`, 4},
		{"no data_offsets", `{"a":{"dtype":"U8","shape":[4]}}`, 4},
		{`unknown dtype "u8"`, `{"a":` + tensor("u8", "[4]", "[0,4]") + `}`, 4},
		{`unknown dtype "F128"`, `{"a":` + tensor("F128", "[4]", "[0,64]") + `}`, 64},
		{"want a whole number, got '-'", `{"a":` + tensor("U8", "[-4]", "[0,4]") + `}`, 4},
		{"want ',' or ']', got '.'", `{"a":` + tensor("U8", "[4.0]", "[0,4]") + `}`, 4},
		{"want ',' or ']', got 'e'", `{"a":` + tensor("U8", "[4e0]", "[0,4]") + `}`, 4},
		{"number starts with 0", `{"a":` + tensor("U8", "[04]", "[0,4]") + `}`, 4},
		{"number is too large", `{"a":` + tensor("U8", "[9223372036854775808]", "[0,4]") + `}`, 4},
		{"more than 16 dimensions", `{"a":` + tensor("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]") + `}`, 1},
		{"is too large", `{"a":` + tensor("F64", "[4294967296,4294967296]", "[0,0]") + `}`, 0},
		{"is too large", `{"a":` + tensor("F64", "[1152921504606846976]", "[0,0]") + `}`, 0},
		{"does not fill whole bytes", `{"a":` + tensor("F4", "[7]", "[0,4]") + `}`, 4},
		{"does not fill whole bytes", `{"a":` + tensor("F6_E2M3", "[3]", "[0,3]") + `}`, 3},
		{"want two offsets", `{"a":` + tensor("U8", "[4]", "[0]") + `}`, 4},
		{"want two offsets", `{"a":` + tensor("U8", "[4]", "[0,4,4]") + `}`, 4},
		{"do not fit U8 [4]", `{"a":` + tensor("U8", "[4]", "[0,5]") + `}`, 5},
		{"do not fit U8 [4]", `{"a":` + tensor("U8", "[4]", "[4,0]") + `}`, 4},
		{"do not fit U8 [4]", `{"a":` + tensor("U8", "[4]", "[9223372036854775807,3]") + `}`, 4},
		{"a hole or an overlap", `{"a":` + tensor("U8", "[4]", "[1,5]") + `}`, 5},
		{"a hole or an overlap", `{"a":` + good + `,"b":` + tensor("U8", "[4]", "[5,9]") + `}`, 9},
		{"a hole or an overlap", `{"a":` + good + `,"b":` + tensor("U8", "[4]", "[3,7]") + `}`, 7},
		{"a hole or an overlap", `{"a":` + good + `,"b":` + tensor("U8", "[0]", "[2,2]") + `}`, 4},
		{"cut short or not complete", `{"a":` + good + `}`, 3},
		{"cut short or not complete", `{"a":` + good + `}`, 5},
		{"cut short or not complete", `{}`, 1},
		{"control character in a string", "{\"a\n\":" + good + "}", 4},
		{"control character in a string", "{\"\\n\n\":" + good + "}", 4},
		{`unknown escape \x`, `{"\x":` + good + `}`, 4},
		{"half of a surrogate pair", `{"\ud800":` + good + `}`, 4},
		{"half of a surrogate pair", `{"\udc00\ud800":` + good + `}`, 4},
		{"half of a surrogate pair", `{"\ud800\u0061":` + good + `}`, 4},
		{"want four hexadecimal digits", `{"\u+123":` + good + `}`, 4},
		{"string without end", `{"a`, 0},
		{"string without end", `{"a\`, 0},
		{"string without end", `{"a\u12`, 0},
	} {
		_, err := open(file(c.header, c.body))
		require.ErrorIs(t, err, safetensors.ErrFormat, "%s: %s", c.why, c.header)
		assert.ErrorContains(t, err, c.why, c.header)
	}
}

func TestWhatTheFormatAllowsIsRead(t *testing.T) {
	for _, header := range []string{
		`{}`,
		`{}     `,
		`{ "__metadata__" : { } }`,
		`{"a":` + tensor("F32", "[]", "[0,4]") + `}`,
		`{"b":` + tensor("U8", "[4]", "[2,6]") + `,"a":` + tensor("BF16", "[1]", "[0,2]") + `}`,
		`{"z":` + tensor("U8", "[0]", "[4,4]") + `,"a":` + tensor("U8", "[4]", "[0,4]") + `,"y":` + tensor("U8", "[9,0]", "[0,0]") + `}`,
		`{"\ud83d\ude00\/\b\f\r\t\"":` + "{\t\"shape\": [ 2 , 2 ],\r\n\"data_offsets\":[0,4] , \"dtype\":\"I8\"}}",
	} {
		f, err := open(file(header, map[bool]int{true: 4}[strings.Contains(header, "[0,4]")]+map[bool]int{true: 6}[strings.Contains(header, "[2,6]")]))
		require.NoError(t, err, header)
		for _, name := range f.Names() {
			_, ok := f.Tensor(name)
			assert.True(t, ok)
		}
	}
	f, err := open(file(`{"\ud83d\ude00\u00e9":`+tensor("U8", "[]", "[0,1]")+`}`, 1))
	require.NoError(t, err)
	assert.Equal(t, []string{"😀é"}, f.Names())
}

func TestOtherFilesAreRecognised(t *testing.T) {
	for content, why := range map[string]string{
		"PK\x03\x04\x00\x00\x08\x08rest of a zip":         "convert it to safetensors where you trust it",
		"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.":        "convert it to safetensors where you trust it",
		"GGUF\x03\x00\x00\x00\x00\x00":                    "it is a GGUF file",
		"{\"a\": 1}, a JSON file":                         "a header of 9021026962656797307 bytes, at most 100000000",
		"\x01\xe1\xf5\x05\x00\x00\x00\x00{}":              "a header of 100000001 bytes, at most 100000000",
		"\x10\x00\x00\x00\x00\x00\x00\x00{}":              "a header of 16 bytes in a file of 10: cut short?",
		"version https://git-lfs.github.com/spec/v1\noid": "it is a Git LFS pointer",
		"short": "5 bytes",
	} {
		_, err := open([]byte(content))
		require.ErrorIs(t, err, safetensors.ErrFormat)
		assert.ErrorContains(t, err, why)
	}
}

func TestEveryCutIsFound(t *testing.T) {
	good := write(t, referenceEntries(), nil)
	for n := range len(good) {
		_, err := open(good[:n])
		require.ErrorIs(t, err, safetensors.ErrFormat, "cut to %d bytes", n)
	}
}

func TestAFileShorterThanItsStatedSizeIsAnError(t *testing.T) {
	good := write(t, referenceEntries(), nil)
	for n := range len(good) {
		f, err := safetensors.Open(bytes.NewReader(good[:n]), int64(len(good)))
		if err == nil {
			last, _ := f.Tensor("bool")
			err = f.ReadTensor("bool", make([]byte, last.Size))
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut to %d bytes", n)
	}
}

func TestWrongRequestsAreErrors(t *testing.T) {
	f, err := open(write(t, referenceEntries(), nil))
	require.NoError(t, err)
	require.ErrorIs(t, f.ReadTensor("none", nil), safetensors.ErrNoTensor)
	require.ErrorIs(t, f.ReadF32("none", nil), safetensors.ErrNoTensor)
	_, err = f.Section("none")
	require.ErrorIs(t, err, safetensors.ErrNoTensor)
	assert.EqualError(t, f.ReadTensor("u8", make([]byte, 4)), `read tensor "u8": 4 bytes wanted, it has 5`)
	assert.EqualError(t, f.ReadF32("u8", make([]float32, 5)), `read tensor "u8" as f32: it is U8, want F32, BF16 or F16`)
	assert.EqualError(t, f.ReadF32("f16", make([]float32, 5)), `read tensor "f16": 5 elements wanted, it has [2 2] = 4`)
	section, err := f.Section("u8")
	require.NoError(t, err)
	b, err := io.ReadAll(section)
	require.NoError(t, err)
	assert.Equal(t, pattern(5), b)
}

// Hostile headers of a few megabytes: what is allocated must stay near twice the file.
func TestHostileHeadersCannotMakeUsAllocate(t *testing.T) {
	many := func(prefix, item, end string) []byte {
		var b strings.Builder
		b.WriteString(prefix)
		for i := 0; b.Len() < 8<<20; i++ {
			fmt.Fprintf(&b, item, i)
		}
		return file(b.String()[:b.Len()-1]+end, 0)
	}
	for name, b := range map[string][]byte{
		"many tensors":    many(`{`, `"%d":`+tensor("U8", "[0]", "[0,0]")+`,`, `}`),
		"many dimensions": many(`{`, `"%d":`+tensor("U8", "[0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,0]")+`,`, `}`),
		"much metadata":   many(`{"__metadata__":{`, `"%d":"",`, `}}`),
		"a long name":     file(`{"`+strings.Repeat("x", 8<<20)+`":1}`, 0),
		"a long escape":   file(`{"`+strings.Repeat(`\n`, 4<<20)+`":1}`, 0),
		"a long shape":    file(`{"a":{"shape":[`+strings.Repeat("1,", 4<<20)+`1]}}`, 0),
		"long dtype":      file(`{"a":{"dtype":"`+strings.Repeat("x", 8<<20)+`"}}`, 0),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := open(b)
		runtime.ReadMemStats(&after)
		assert.Error(t, err, name)
		got := after.TotalAlloc - before.TotalAlloc
		assert.LessOrEqual(t, got, uint64(2*len(b)+16<<20), name)
		t.Logf("%-16s %5.1f MB for a file of %.1f MB: %.80v", name, float64(got)/1e6, float64(len(b))/1e6, err)
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	dtypes := []safetensors.DType{safetensors.Bool, safetensors.U8, safetensors.BF16, safetensors.F32, safetensors.I64}
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) safetensors.Entry {
			return entry(rapid.String().Draw(t, "name"), rapid.SampledFrom(dtypes).Draw(t, "dtype"),
				rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(t, "shape")...)
		}), 0, 8, func(e safetensors.Entry) string { return e.Name }).Draw(t, "entries")
		metadata := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "metadata")
		var b bytes.Buffer
		require.NoError(t, safetensors.Write(&b, entries, metadata))
		require.Zero(t, binary.LittleEndian.Uint64(b.Bytes())%8)
		f, err := open(b.Bytes())
		require.NoError(t, err)
		if metadata["format"] == "" {
			metadata["format"] = "pt"
		}
		require.Equal(t, metadata, f.Metadata())
		require.Len(t, f.Names(), len(entries))
		for _, e := range entries {
			got, ok := f.Tensor(e.Name)
			require.True(t, ok)
			require.Equal(t, append([]int{}, e.Shape...), got.Shape)
			data := make([]byte, got.Size)
			require.NoError(t, f.ReadTensor(e.Name, data))
			require.Equal(t, pattern(got.Size), data)
			require.Zero(t, got.Offset%int64(max(1, got.DType.Bits()/8)), "alignment")
		}
	})
}

// Whatever opens is consistent: it can be read whole, and written again with the same tensors.
func FuzzOpen(f *testing.F) {
	reference, err := os.ReadFile("testdata/reference.safetensors")
	require.NoError(f, err)
	f.Add(reference)
	f.Add(write(f, nil, nil))
	f.Add(file(`{"a":`+tensor("F32", "[2,1]", "[0,8]")+`,"__metadata__":{"k":"\u00e9"}}  `, 8))
	f.Add(file(`{"a":`+tensor("F4", "[2]", "[0,1]")+`,"b":`+tensor("I8", "[0]", "[1,1]")+`}`, 1))
	f.Add(file(`{"a":`+tensor("U8", "[9223372036854775807,2]", "[0,0]")+`}`, 0))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := open(b)
		if err != nil {
			return
		}
		var entries []safetensors.Entry
		for _, name := range file.Names() {
			info, ok := file.Tensor(name)
			require.True(t, ok)
			data := make([]byte, info.Size)
			require.NoError(t, file.ReadTensor(name, data))
			entries = append(entries, safetensors.Entry{Name: name, DType: info.DType, Shape: info.Shape, Data: safetensors.Bytes(data)})
		}
		again, err := open(write(t, entries, file.Metadata()))
		require.NoError(t, err)
		require.Equal(t, file.Names(), again.Names())
	})
}
