"""Writes the files of other programs that are read in tests, and what they hold, as documents.jsonl.

    pip install pyarrow duckdb polars        # in a virtual environment
    python make.py
"""
import json
import pathlib

import duckdb
import polars
import pyarrow
import pyarrow.parquet

here = pathlib.Path(__file__).parent
common = "The forge is hot, and the iron is on the anvil. "
rows = []
for i in range(120):
    rows.append({
        "text": common * (i % 4) + f"{i} ação 鍛冶場" + "é" * (i % 50) if i != 7 else "",
        "id": f"<urn:uuid:{i:08x}>",
        "url": None if i % 5 == 0 else f"https://example.org/{'pages/' * (i % 3)}{i}",
        "language": ["en", "pt", "ja"][i % 3],
        "date": "2024-02-29T12:00:00Z" if i % 2 else None,
        "license": None,
        "source": "test",
        "dump": "CC-MAIN-2024-10",
        "language_score": i / 120,
        "token_count": i,
        "minhash": [i, i + 1],
        "meta": {"text": "not this one", "n": [{"text": "nor this"}] * (i % 3)},
    })

names = {"language": "lang"}
with open(here / "documents.jsonl", "w") as f:
    for r in rows:
        d = {names.get(k, k): r[k] for k in ("id", "url", "text", "language", "date", "license", "source") if r[k]}
        f.write(json.dumps({"text": "", **d}, ensure_ascii=False) + "\n")

table = pyarrow.Table.from_pylist(rows)
for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4"):
    pyarrow.parquet.write_table(table, here / f"pyarrow-{codec}.parquet", compression=codec, row_group_size=50)
for encoding in ("PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"):
    for version in ("1.0", "2.0"):
        pyarrow.parquet.write_table(
            table, here / f"pyarrow-{encoding.lower()}-page{version[0]}.parquet", data_page_version=version, use_dictionary=False,
            column_encoding={"text": encoding, "id": encoding, "url": encoding, "date": encoding}, compression="snappy", row_group_size=70,
            write_page_checksum=True)
pyarrow.parquet.write_table(table, here / "pyarrow-pages.parquet", data_page_version="2.0", data_page_size=512, write_batch_size=8,
                            dictionary_pagesize_limit=256, compression="zstd", write_page_index=True)
flat = table.drop_columns(["minhash", "meta"])
duckdb.sql("COPY flat TO '%s' (FORMAT parquet, COMPRESSION zstd)" % (here / "duckdb.parquet"))
duckdb.sql("COPY flat TO '%s' (FORMAT parquet, PARQUET_VERSION v2)" % (here / "duckdb-v2.parquet"))
duckdb.sql("COPY flat TO '%s' (FORMAT parquet, COMPRESSION lz4_raw)" % (here / "duckdb-lz4.parquet"))
polars.from_arrow(flat).write_parquet(here / "polars.parquet")
polars.from_arrow(flat).write_parquet(here / "polars-lz4.parquet", compression="lz4", use_pyarrow=False, row_group_size=40)
