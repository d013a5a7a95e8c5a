// Encoding with npm's tiktoken (WASM): npm install tiktoken; node tokenizers_encode.mjs docs.jsonl [bytes] [rounds]
import { readFileSync } from "node:fs";
import { get_encoding } from "tiktoken";

const most = Number(process.argv[3] ?? 20_000_000);
const rounds = Number(process.argv[4] ?? 3);
const docs = [];
let size = 0;
for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  if (line === "" || size >= most) break;
  docs.push(JSON.parse(line).text);
  size += Buffer.byteLength(docs.at(-1));
}
const encoding = get_encoding("cl100k_base");
let best = 0;
let byProcessor = 0;
for (let round = 0; round < rounds; round++) {
  const start = performance.now();
  const used = process.cpuUsage();
  for (const doc of docs) encoding.encode_ordinary(doc);
  best = Math.max(best, size / 1e3 / (performance.now() - start));
  const { user, system } = process.cpuUsage(used);
  byProcessor = Math.max(byProcessor, size / (user + system));
}
console.log(JSON.stringify({ who: "tiktoken WASM", text: "documents", mb_per_s: Number(best.toFixed(2)), processor_mb_per_s: Number(byProcessor.toFixed(2)) }));
