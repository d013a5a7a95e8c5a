"""Writes reference.safetensors with the reference implementation: pip install safetensors==0.8.0, then run this.

Every tensor's bytes are i*7 mod 251, so that a test in any language can make the same file.
"""
import ctypes
import pathlib

from safetensors import TensorSpec, serialize

# name, dtype, shape as the header shows it, bytes
TENSORS = [
    ("bool", "bool", [3], 3),
    ("u8", "uint8", [5], 5),
    ("i8", "int8", [1, 3], 3),
    ("f8e5m2", "float8_e5m2", [2], 2),
    ("f8e4m3", "float8_e4m3fn", [2], 2),
    ("f8e8m0", "float8_e8m0fnu", [2], 2),
    ("f8e4m3fnuz", "float8_e4m3fnuz", [2], 2),
    ("f8e5m2fnuz", "float8_e5m2fnuz", [2], 2),
    ("f4", "float4_e2m1fn_x2", [4], 4),  # packed in pairs: the header says [8]
    ("i16", "int16", [2], 4),
    ("u16", "uint16", [2], 4),
    ("f16", "float16", [2, 2], 8),
    ("model.layers.0.weight", "bfloat16", [2, 3], 12),
    ("i32", "int32", [1], 4),
    ("u32", "uint32", [1], 4),
    ("scalar", "float32", [], 4),
    ("empty", "float32", [0, 4], 0),
    ('odd "name"\\\n\x01\té', "float32", [2], 8),
    ("c64", "complex64", [1], 8),
    ("f64", "float64", [1], 8),
    ("i64", "int64", [1], 8),
    ("u64", "uint64", [1], 8),
]

buffers = [ctypes.create_string_buffer(bytes(i * 7 % 251 for i in range(n)), max(n, 1)) for *_, n in TENSORS]
specs = {
    name: TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(b), data_len=n)
    for (name, dtype, shape, n), b in zip(TENSORS, buffers)
}
path = pathlib.Path(__file__).with_name("reference.safetensors")
path.write_bytes(serialize(specs, {"format": "pt"}))
