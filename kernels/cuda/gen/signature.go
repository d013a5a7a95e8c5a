package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"forja/kernels/cuda/ptx"
)

// declaration is what the macro KERNEL leaves in front of a kernel's parameters.
var declaration = regexp.MustCompile(`(?:__attribute__\(\(cluster_dims\((\d+), 1, 1\)\)\)\s*)?` +
	`extern "C" __attribute__\(\(global\)\) void __attribute__\(\(launch_bounds\([^;{}]*?\)\)\)\s+(\w+)\s*\(([^{};]*?)\)\s*\{`)

// signatures finds the kernels of a preprocessed source.
func signatures(source string) ([]ptx.Kernel, error) {
	var ks []ptx.Kernel
	for _, m := range declaration.FindAllStringSubmatch(source, -1) {
		k := ptx.Kernel{Entry: m[2], Cluster: 1}
		if m[1] != "" {
			k.Cluster, _ = strconv.Atoi(m[1])
		}
		family, variant, ok := strings.Cut(k.Entry, "__")
		if !ok || family == "" || variant == "" {
			return nil, fmt.Errorf("kernel %s: want family__variant", k.Entry)
		}
		for _, p := range strings.Split(strip(m[3]), ",") {
			if strings.TrimSpace(p) == "" {
				continue
			}
			param, err := parameter(p)
			if err != nil {
				return nil, fmt.Errorf("kernel %s: %w", k.Entry, err)
			}
			k.Params = append(k.Params, param)
		}
		ks = append(ks, k)
	}
	if len(ks) == 0 {
		return nil, fmt.Errorf("no kernel: declare one with KERNEL(threads, blocks) family__variant(...)")
	}
	return ks, nil
}

var attribute = regexp.MustCompile(`__attribute__\(\([^()]*(?:\([^()]*\))?[^()]*\)\)`)

// strip removes attributes.
func strip(params string) string { return attribute.ReplaceAllString(params, " ") }

var parameterForm = regexp.MustCompile(`^(.*?)\b(\w+)$`)

// valueTypes are the types of parameters that are not pointers.
var valueTypes = map[string]string{
	"int": "int32", "int32": "int32", "uint32": "uint32", "unsigned": "uint32", "unsigned int": "uint32",
	"int64": "int64", "uint64": "uint64", "float": "float32", "TensorMap": "tensormap",
}

// parameter reads one parameter, such as "const bf16* __restrict__ x".
func parameter(text string) (ptx.Param, error) {
	m := parameterForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return ptx.Param{}, fmt.Errorf("parameter %q has no name", text)
	}
	if strings.Contains(m[1], "*") {
		return ptx.Param{Name: m[2], Type: "ptr"}, nil
	}
	var words []string
	for _, w := range strings.Fields(m[1]) {
		if w != "const" {
			words = append(words, w)
		}
	}
	typ, ok := valueTypes[strings.Join(words, " ")]
	if !ok {
		return ptx.Param{}, fmt.Errorf("parameter %q: want a pointer, int, uint32, int64, uint64, float or PARAM(TensorMap)", text)
	}
	return ptx.Param{Name: m[2], Type: typ}, nil
}
