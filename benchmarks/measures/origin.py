"""Where the figures of a page are from."""

import os
import platform
import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}


def list_origin(threads: str, **versions: str) -> list[str]:
    """Lists command, date, versions and processor, as lines of a page.

    Args:
        threads: How many of them the figures are of, and other devices.
        **versions: Of packages beside those that a result depends on.
    """
    from medzoo.training.machine import list_versions

    found = list_versions() | versions
    backend = os.environ.get("KERAS_BACKEND")
    asked = f"KERAS_BACKEND={backend} " if backend else ""
    return [
        f"- Command: `{asked}python {shlex.join(sys.argv)}`",
        f"- Date: {datetime.now(UTC):%Y-%m-%d}",
        f"- Versions: {', '.join(f'{n} {v}' for n, v in found.items())}",
        f"- Processor: {name_processor()}, {threads}",
    ]


def name_processor() -> str:
    """Names the processor, its cores, and its widest vectors where known."""
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    fields = dict(re.findall(r"^(.+?)\s*: (.+)$", text, re.MULTILINE))
    flags = f"{fields.get('flags', '')} {fields.get('Features', '')}".split()
    found = (
        fields.get("model name", platform.processor()),
        platform.machine(),
        next((said for flag, said in VECTORS.items() if flag in flags), ""),
        f"{psutil.cpu_count()} cores",
    )
    return ", ".join(filter(None, found))
