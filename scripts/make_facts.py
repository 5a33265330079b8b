"""Writes `medzoo/tasks.toml` from the facts of the installed medmnist.

Only `medmnist/info.py` is loaded: the package itself imports torch.
"""

import importlib.util
import json
import runpy
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "medzoo" / "tasks.toml"
NAMES = (
    "pathmnist",
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "retinamnist",
    "breastmnist",
    "bloodmnist",
    "tissuemnist",
    "organamnist",
    "organcmnist",
    "organsmnist",
)
# What medmnist only numbers: the grades of the DeepDRiD challenge (Liu et al.,
# Patterns 2022), which are those of the international clinical scale.
MEANINGS = {
    "retinamnist": [
        "no apparent diabetic retinopathy",
        "mild non-proliferative diabetic retinopathy",
        "moderate non-proliferative diabetic retinopathy",
        "severe non-proliferative diabetic retinopathy",
        "proliferative diabetic retinopathy",
    ],
}
# SHA-256 of the files at hand, which medmnist does not publish.
SHA256S = {
    "breastmnist": {
        28: "3a22d2a4625e7dd8903f0f59030e81a3d0c222bece2e5e10927456cb50efdec1"
    },
    "retinamnist": {
        28: "254915f5f0a2074665c4676356824cf4ef4a3bcab233894b4bafcaf48962bd69"
    },
}


def read_medmnist() -> tuple[str, dict[str, dict[str, Any]]]:
    """Returns the version of the installed medmnist and its table `INFO`."""
    package = importlib.util.find_spec("medmnist")
    if package is None or package.submodule_search_locations is None:
        raise SystemExit(
            "medmnist is not installed. Run `pip install --no-deps medmnist`."
        )
    path = Path(package.submodule_search_locations[0], "info.py")
    found = runpy.run_path(str(path))
    return found["__version__"], found["INFO"]


def format_task(name: str, facts: dict[str, Any]) -> str:
    """Formats one task as a table of TOML."""
    labels = facts["label"]
    classes = [labels[str(label)] for label in range(len(labels))]
    counts = ", ".join(f"{s} = {n}" for s, n in facts["n_samples"].items())
    lines = [
        f"[{name}]",
        f"title = {_quote(facts['python_class'])}",
        f"kind = {_quote(facts['task'])}",
        f"channels = {facts['n_channels']}",
        f"licence = {_quote(facts['license'])}",
        f"num_images = {{ {counts} }}",
        f"classes = {_list(classes)}",
    ]
    if name in MEANINGS:
        lines.append(f"meanings = {_list(MEANINGS[name])}")
    for key in ("url", "MD5"):
        lines += ["", f"[{name}.{key.lower()}s]"]
        for size in (28, 64, 128, 224):
            value = facts[key if size == 28 else f"{key}_{size}"]
            lines.append(f"{size} = {_quote(value)}")
    if name in SHA256S:
        lines += ["", f"[{name}.sha256s]"]
        lines += [f"{n} = {_quote(v)}" for n, v in SHA256S[name].items()]
    return "\n".join(lines)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _list(texts: list[str]) -> str:
    return "\n".join(["[", *(f"    {_quote(text)}," for text in texts), "]"])


def main(path: Path = TABLE) -> None:
    version, facts = read_medmnist()
    head = f"# Facts of the tasks, from medmnist {version}; see `make facts`."
    tables = [format_task(name, facts[name]) for name in NAMES]
    path.write_text("\n\n".join([head, *tables]) + "\n", encoding="utf-8")
    print(f"Wrote {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
