#!/bin/sh
# gpu.sh [OUT]: all that a machine with an NVIDIA card can tell of forja, in ten minutes, without a network, a Go compiler or a
# CUDA toolkit. `make gpu-bundle` builds what it needs into build/gpu (BUNDLE names another place).
#
#   1 the driver takes the kernels of both targets, and what it makes of them
#   2 every operation against the float64 oracle, on the card
#   3 compute-sanitizer on the small cases, where it is installed
#   4 kernels, in turn with cuBLASLt and PyTorch's attention
#   5 training steps of GPT-2 124M and LLaMA 1B, LoRA, decoding, in turn with PyTorch
#   6 OUT/report.md and OUT/report.json
#
# A part that fails or takes too long is noted, and the next one runs. DEVICE=sim is a rehearsal without a card, at small sizes.
# PYTHON names a Python that has PyTorch; without one, the peers are left out. LIMIT is the seconds for everything.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bundle=${BUNDLE:-$here/../build/gpu}
peers=$here/peers
[ -d "$peers" ] || peers=$bundle/peers
out=${1:-gpu-results}
device=${DEVICE:-cuda}
python=${PYTHON:-python3}
limit=${LIMIT:-590}
began=$(date +%s)
mkdir -p "$out"
status=$out/status.txt
: >"$status"

# part NAME SECONDS COMMAND...: standard output to NAME.jsonl if it is JSON, everything else to NAME.log.
part() {
	name=$1 most=$2
	shift 2
	left=$((limit - $(date +%s) + began))
	if [ "$left" -lt 5 ]; then
		echo "left out: $name: the time is over" | tee -a "$status"
		return 1
	fi
	[ "$most" -gt "$left" ] && most=$left
	start=$(date +%s)
	timeout -k 5 "$most" "$@" >"$out/.stdout" 2>"$out/.stderr"
	code=$?
	grep '^{' "$out/.stdout" >>"$out/$name.jsonl"
	{ echo "\$ $*"; grep -v '^{' "$out/.stdout"; cat "$out/.stderr"; } >>"$out/$name.log"
	[ -s "$out/$name.jsonl" ] || rm -f "$out/$name.jsonl"
	rm -f "$out/.stdout" "$out/.stderr"
	case $code in
	0) said=ok ;;
	124 | 137) said="stopped after $most s" ;;
	*) said="FAILED with $code" ;;
	esac
	echo "$said: $name, $(($(date +%s) - start)) s" | tee -a "$status"
	return $code
}

torch=
if "$python" -c 'import torch' 2>/dev/null; then torch=yes; else echo "left out: peers: $python has no PyTorch" | tee -a "$status"; fi

# peer NAME SECONDS ARGUMENTS...: PyTorch's turn.
peer() {
	[ -n "$torch" ] || return 0
	name=$1 most=$2
	shift 2
	part "$name" "$most" "$python" "$peers/torch_gpu.py" "$@"
}

forja=$bundle/forja
if [ "$device" = cuda ]; then
	part machine 20 nvidia-smi -q
	FORJA_CUDA=1 part card 200 "$bundle/cuda.test" -test.v -test.run '^TestCard$' -test.timeout 190s
	if command -v compute-sanitizer >/dev/null; then
		FORJA_SMALL=1 part sanitizer 60 compute-sanitizer --tool memcheck --error-exitcode 9 "$bundle/cuda.test" -test.run '^TestCard$'
	else
		echo "left out: sanitizer: compute-sanitizer is not installed" | tee -a "$status"
	fi
	part doctor 30 "$forja" doctor
	for round in 1 2; do
		part kernels 60 "$forja" bench copy gemm attention norm adamw head --device cuda --dtype bf16 --rounds 2 --json
		peer kernels-torch 70 kernels --rounds 2
	done
	part step-gpt2 40 "$forja" bench step --device cuda --dtype bf16 --step.model gpt2 --step.batch 32 --step.context 1024 --json
	peer step-gpt2-torch 60 step --model gpt2 --batch 32 --context 1024
	part step-llama 40 "$forja" bench step --device cuda --dtype bf16 --step.model llama3.2-1b --step.batch 4 --step.context 2048 --rounds 3 --json
	peer step-llama-torch 70 step --model llama3.2-1b --batch 4 --context 2048
	part lora-llama 30 "$forja" bench step --device cuda --dtype bf16 --step.model llama3.2-1b --step.batch 4 --step.context 2048 --step.lora 16 --rounds 3 --json
	peer lora-llama-torch 50 step --model llama3.2-1b --batch 4 --context 2048 --lora 16
	part decode 30 "$forja" bench copy decode --device cuda --dtype bf16 --step.model gpt2 --json
	peer decode-torch 40 decode --model gpt2
	part tiles 60 "$bundle/cuda.test" -test.run '^$' -test.bench Products -test.benchtime 1x
else
	part card 300 "$bundle/cuda.test" -test.v -test.run '^TestSimulated90$/^(Copy|AdamW|RMSNorm)$'
	part doctor 60 "$forja" doctor
	part kernels 120 "$forja" bench copy gemm attention norm adamw head --device "$device" --dtype bf16 --rounds 1 --json
	peer kernels-torch 120 kernels --rounds 1 --device cpu --small
	part step-gpt2 120 "$forja" bench step --device "$device" --dtype bf16 --step.batch 1 --step.context 64 --rounds 1 --json
	part lora-llama 120 "$forja" bench step --device "$device" --dtype bf16 --step.model llama3.2-1b --step.batch 1 --step.context 64 --step.lora 4 --rounds 1 --json
	peer step-torch 120 step --model tiny --batch 1 --context 64 --rounds 1 --device cpu --variants eager
	part decode 120 "$forja" bench decode --device "$device" --dtype bf16 --rounds 1 --json
fi
{
	card=$(sed -n 's/ *Product Name *: *//p' "$out/machine.log" 2>/dev/null | head -1)
	echo "# forja on ${card:-a simulated card}, $(date -u +%F)"
	echo
	sed 's/^/- /' "$status"
	echo
	"$python" "$peers/gpu_report.py" "$out" --json "$out/report.json"
} >"$out/report.md"
echo "in $out: report.md, report.json; $(($(date +%s) - began)) s"
! grep -q FAILED "$status"
