"""A whole E5S1 file of a few kilobytes, written from the format's description: a base that builds in no time."""

import struct

import numpy as np

WIDTH, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES = 32, 1, 2, 64, 12, 8, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁ho", "la", "▁mun", "do", "▁", "é"]
SCORES = [0.0, 0.0, 0.0, 0.0, -1.0, -1.5, -2.0, -2.5, -3.0, -3.5]


def q4_0(rows: int, columns: int, seed: int) -> tuple[bytes, np.ndarray]:
    """Blocks as the format defines them, and the weights they stand for, worked out one by one."""
    random = np.random.default_rng(seed)
    data, weights = b"", []
    for _ in range(rows * columns // 32):
        scale = float(np.float16(random.uniform(0.01, 0.1)))
        nibbles = random.integers(0, 16, 32)
        data += struct.pack("<e", scale) + bytes(int(nibbles[i]) | int(nibbles[i + 16]) << 4 for i in range(16))
        weights += [(int(n) - 8) * scale for n in nibbles]
    return data, np.array(weights, np.float32).reshape(rows, columns)


def tensors() -> dict[str, tuple[int, int, bytes, np.ndarray]]:
    """Name -> (type, count, bytes, expected)."""
    found: dict[str, tuple[int, int, bytes, np.ndarray]] = {}

    def matrix(name: str, rows: int, columns: int) -> None:
        data, expected = q4_0(rows, columns, seed=len(found))
        found[name] = (1, rows * columns, data, expected)

    def plain(name: str, *shape: int) -> None:
        expected = np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        found[name] = (0, expected.size, expected.tobytes(), expected)

    matrix("emb.word", VOCABULARY, WIDTH)
    plain("emb.pos", POSITIONS, WIDTH)
    plain("emb.type", TYPES, WIDTH)
    plain("emb.ln.w", WIDTH)
    plain("emb.ln.b", WIDTH)
    for part in ("q", "k", "v", "ao"):
        matrix(f"l0.{part}.w", WIDTH, WIDTH)
        plain(f"l0.{part}.b", WIDTH)
    matrix("l0.fi.w", INNER, WIDTH)
    plain("l0.fi.b", INNER)
    matrix("l0.fo.w", WIDTH, INNER)
    plain("l0.fo.b", WIDTH)
    for norm in ("aln", "oln"):
        plain(f"l0.{norm}.w", WIDTH)
        plain(f"l0.{norm}.b", WIDTH)
    return found


def e5s1(magic: bytes = b"E5S1", block: int = 32) -> bytes:
    head = magic + struct.pack("<I7i", 1, WIDTH, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES)
    head += struct.pack("<fi", 1e-12, block)
    text = [piece.encode() for piece in PIECES]
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, text)))
    head += struct.pack(f"<{len(PIECES) + 1}I", *np.cumsum([0, *map(len, text)]).tolist())
    head += struct.pack(f"<{len(PIECES)}f", *SCORES) + b"".join(text)
    rule = struct.pack("<IBI", 0x00C9, 1, 0x00E9)
    head += struct.pack("<iI", 1, len(rule)) + rule
    entries = tensors()
    directory_bytes = 4 + sum(2 + len(name) + 21 for name in entries)
    at, directory, body = len(head) + directory_bytes, struct.pack("<i", len(entries)), b""
    for name, (kind, count, data, _) in entries.items():
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, at, len(data))
        at, body = at + len(data), body + data
    return head + directory + body
