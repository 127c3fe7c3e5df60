"""Embeddings that were made before: by encoder and text, on disk, so that training again costs no encoder pass.

One SQLite file. It holds hashes and vectors, no text; of more than `MOST` vectors the longest unused go.
"""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from workers.slm.encoder import Encoder, Vector
from workers.slm.errors import PackError

FILE = "vectors.sqlite"
MOST = 100_000  # about 160 MB
CHUNK = 512


def embedded(
    texts: Sequence[str],
    encoder_hash: str,
    encoder: Callable[[], Encoder],
    cache_dir: Path,
    *,
    most: int = MOST,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> Vector:
    """The L2-normalised embeddings (n, d) of `texts`. `encoder` is called only if some are new. Raises `PackError`."""
    keys = [hashlib.sha256(f"{encoder_hash}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(cache_dir / FILE, timeout=60)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB, used_at REAL)")
            found = _read(database, keys)
            missing = [i for i in range(len(texts)) if keys[i] not in found]
            if missing:
                with encoder() as model:
                    for start in range(0, len(missing), CHUNK):
                        on_step(start, len(missing))
                        some = missing[start : start + CHUNK]
                        made = model.encode([texts[i] for i in some]).pooled
                        found |= {keys[i]: vector for i, vector in zip(some, made, strict=True)}
                        _write(database, {keys[i]: vector for i, vector in zip(some, made, strict=True)})
            _forget(database, keys, most)
    except (OSError, sqlite3.Error) as error:
        file = cache_dir / FILE
        raise PackError(
            f"the embedding cache {file} cannot be used ({error}); delete it, or free disk space"
        ) from error
    return np.stack([found[key] for key in keys]).astype(np.float32)


def _read(database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Vector]:
    found: dict[bytes, Vector] = {}
    for key in dict.fromkeys(keys):
        row = database.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        if row is not None:
            found[key] = np.frombuffer(row[0], np.float32)
    return found


def _write(database: sqlite3.Connection, vectors: dict[bytes, Vector]) -> None:
    rows = [(key, vector.astype(np.float32).tobytes(), time.time()) for key, vector in vectors.items()]
    with database:
        database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


def _forget(database: sqlite3.Connection, used: Sequence[bytes], most: int) -> None:
    now = time.time()
    with database:
        database.executemany("UPDATE vectors SET used_at = ? WHERE key = ?", [(now, key) for key in used])
        database.execute(
            "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
            (most,),
        )
