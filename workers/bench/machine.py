"""On what a figure was measured."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workers.settings import usable_cpus

FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
PACKAGES = (
    "voxpop",
    "ctranslate2",
    "tokenizers",
    "kafka-python",
    "clickhouse-connect",
    "chdb",
    "llama-cpp-python",
    "onnxruntime",
    "torch",
    "transformers",
)


def machine() -> dict[str, object]:
    """CPU model, cores, the instructions that matter for int8, Python and the versions of what is measured."""
    told = _cpuinfo()
    return {
        "cpu": _first(r"model name\s*:\s*(.+)", told) or platform.processor() or platform.machine(),
        "cores": usable_cpus(),
        "flags": [flag for flag in FLAGS if re.search(rf"\b{flag}\b", told)],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1].strip() if found else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
