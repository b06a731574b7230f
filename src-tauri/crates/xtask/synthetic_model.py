"""Writes a GGUF file with the shape of a 7B model (Mistral's: 32 layers of 4096 x 14336, 8 KV heads) and random weights
in Q4_K and Q6_K, for measurements that need a large model where none can be fetched. Vocabulary and chat template are
those of a small model, which must be a llama-like GGUF.

usage: synthetic_model.py SMALL.gguf OUT.gguf
"""

import os
import random
import struct
import sys

LAYERS, WIDTH, FEED, KV_WIDTH = 32, 4096, 14336, 1024
SHAPE = {
    "llama.block_count": LAYERS,
    "llama.context_length": 32768,
    "llama.embedding_length": WIDTH,
    "llama.feed_forward_length": FEED,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.rope.dimension_count": 128,
    "llama.vocab_size": None,
    "general.name": "synthetic-7b",
}
F32, Q4_K, Q6_K = 0, 12, 14
BLOCK = {F32: (1, 4), Q4_K: (256, 144), Q6_K: (256, 210)}
ALIGNMENT = 32
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


class Reader:
    """The metadata of a GGUF file, each value kept as its bytes."""

    def __init__(self, file):
        self.file = file
        magic, version, self.tensors, count = struct.unpack("<4sIQQ", file.read(24))
        if magic != b"GGUF" or version < 2:
            sys.exit("the small model is not a GGUF file of version 2 or later")
        self.values = {}
        for _ in range(count):
            key = self.string().decode()
            kind = self.number("<I")
            start = file.tell()
            self.skip(kind)
            end = file.tell()
            file.seek(start)
            self.values[key] = (kind, file.read(end - start))

    def number(self, form):
        return struct.unpack(form, self.file.read(struct.calcsize(form)))[0]

    def string(self):
        return self.file.read(self.number("<Q"))

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            of, count = self.number("<I"), self.number("<Q")
            for _ in range(count) if of in (STRING, ARRAY) else ():
                self.skip(of)
            if of in SIZES:
                self.file.seek(SIZES[of] * count, 1)
        else:
            self.file.seek(SIZES[kind], 1)


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def tensors(vocabulary):
    """Name, dimensions and number type of each tensor, placed as llama.cpp's Q4_K_M places them."""
    yield "token_embd.weight", (WIDTH, vocabulary), Q4_K
    for layer in range(LAYERS):
        finer = not 4 <= layer < 28 or (layer - 4) % 3 == 2
        name = f"blk.{layer}.".__add__
        yield name("attn_norm.weight"), (WIDTH,), F32
        yield name("ffn_norm.weight"), (WIDTH,), F32
        yield name("attn_q.weight"), (WIDTH, WIDTH), Q4_K
        yield name("attn_k.weight"), (WIDTH, KV_WIDTH), Q4_K
        yield name("attn_v.weight"), (WIDTH, KV_WIDTH), Q6_K if finer else Q4_K
        yield name("attn_output.weight"), (WIDTH, WIDTH), Q4_K
        yield name("ffn_gate.weight"), (WIDTH, FEED), Q4_K
        yield name("ffn_up.weight"), (WIDTH, FEED), Q4_K
        yield name("ffn_down.weight"), (FEED, WIDTH), Q6_K if finer else Q4_K
    yield "output_norm.weight", (WIDTH,), F32
    yield "output.weight", (WIDTH, vocabulary), Q6_K


def size(dimensions, kind):
    elements = 1
    for dimension in dimensions:
        elements *= dimension
    per, block = BLOCK[kind]
    return elements // per * block


def noise(kind, blocks=100_000):
    """A stretch of random blocks with scales so small that nothing overflows."""
    if kind == F32:
        return struct.pack("<f", 1.0) * blocks
    block = BLOCK[kind][1]
    data = bytearray(random.Random(kind).randbytes(blocks * block))

    def put(at, value):
        low, high = struct.pack("<e", value)
        data[at::block] = bytes([low]) * blocks
        data[at + 1 :: block] = bytes([high]) * blocks

    if kind == Q4_K:
        put(0, 0.00005)
        put(2, 0.000375)
    else:
        put(208, 0.00002)
    return bytes(data)


def main():
    small, out = sys.argv[1:]
    with open(small, "rb") as file:
        values = Reader(file).values
    kind, tokens = values["tokenizer.ggml.tokens"]
    vocabulary = struct.unpack("<Q", tokens[4:12])[0]
    for key, value in SHAPE.items():
        if key in values and isinstance(value, int):
            values[key] = (4, struct.pack("<I", value))
        elif isinstance(value, str):
            values[key] = (STRING, string(value))
    if "llama.vocab_size" in values:
        values["llama.vocab_size"] = (4, struct.pack("<I", vocabulary))
    infos, offset = [], 0
    for name, dimensions, kind in tensors(vocabulary):
        infos.append((name, dimensions, kind, offset))
        offset += -(-size(dimensions, kind) // ALIGNMENT) * ALIGNMENT
    pools = {kind: noise(kind) for kind in BLOCK}
    with open(out + ".part", "wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(values)))
        for key, (kind, data) in values.items():
            file.write(string(key) + struct.pack("<I", kind) + data)
        for name, dimensions, kind, at in infos:
            file.write(string(name) + struct.pack("<I", len(dimensions)))
            file.write(struct.pack(f"<{len(dimensions)}Q", *dimensions) + struct.pack("<IQ", kind, at))
        file.write(bytes(-file.tell() % ALIGNMENT))
        for name, dimensions, kind, _ in infos:
            left, pool = size(dimensions, kind), pools[kind]
            while left > 0:
                left -= file.write(pool[:left])
            file.write(bytes(-file.tell() % ALIGNMENT))
    os.replace(out + ".part", out)
    print(f"{out}: {offset / 1e9:.2f} GB of random weights")


main()
