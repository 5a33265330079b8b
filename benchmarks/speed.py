"""How near training comes to the machine's limit, and where its time goes.

    python benchmarks/speed.py [--turns 5] [--seconds 2]

Each network in a process of its own: images a second in training and inference
beside plain Keras `fit` on arrays, with `tf.data`, and with
`steps_per_execution` as well; the ways take turns, and
the fastest turn of each counts. Where PyTorch is installed, the same layers in
a plain loop of it take theirs in one more process. The limit is what a large
matrix product and a large convolution reach in the same run. All with one
thread on a CPU, as a run of a study has it. Two networks are measured without
oneDNN as well, as TensorFlow is by itself on a processor without AVX-512.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from measures.cases import CASES
from measures.in_torch import measure_torch
from measures.limit import measure_limit
from measures.nets import STEPS_A_CALL, measure_net
from measures.origin import list_origin
from measures.steps import STEPS, measure_parts

from medzoo.training.backend import set_threads

NETS = (
    "| net | parameters | MFLOP an image | medzoo | `fit` | `fit`, `tf.data` "
    f"| and {STEPS_A_CALL} steps a call "
    "| PyTorch | share of peak | inference | `predict` | PyTorch "
    "| share of peak | first step, s | memory, MB |\n"
    "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: "
    "| ---: | ---: | ---: | ---: | ---: |"
)
# Columns of `NETS` that train.
WAYS = ("medzoo", "fit", "tf.data", "many steps")
WITHOUT_ONEDNN = ("skip_cnn, 16", "skip_cnn, 32")
PLAIN = (
    "| net | oneDNN | medzoo | `fit` | `fit`, `tf.data` "
    f"| and {STEPS_A_CALL} steps a call |\n"
    "| :--- | :--- | ---: | ---: | ---: | ---: |"
)
PARTS = (
    "| net | batch | step, ms | batches | network |\n"
    "| :--- | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    """Measures every network, and writes the page."""
    options = _parse()
    if options.case:
        set_threads(1)
        print(json.dumps(measure(options)))
        return
    limit = _in_a_process("limit")
    nets, plain = {}, {}
    for index, case in enumerate(CASES):
        nets[case.name] = found = _in_a_process(f"net:{index}")
        if case.name in WITHOUT_ONEDNN:
            plain[case.name] = _in_a_process(
                f"net:{index}", TF_ENABLE_ONEDNN_OPTS="0"
            )
        found["torch"] = _in_a_process(f"torch:{index}")
    page = write_page(limit, nets, plain, _in_a_process("parts"), options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page)
    print(page)


def measure(options: argparse.Namespace) -> Any:
    """Measures one case."""
    if options.case == "limit":
        return measure_limit(3 * options.turns)
    if options.case == "parts":
        return measure_parts(options.turns)
    way, index = options.case.split(":")
    measure_case = measure_torch if way == "torch" else measure_net
    return measure_case(
        CASES[int(index)], turns=options.turns, seconds=options.seconds
    )


def _in_a_process(case: str, **variables: str) -> Any:
    """Measures one case by this file, in a process that has done no other."""
    command = [sys.executable, *sys.argv, "--case", case]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | variables,
    )
    return json.loads(done.stdout.splitlines()[-1])


def write_page(
    limit: dict[str, Any],
    nets: dict[str, dict[str, Any]],
    plain: dict[str, dict[str, Any]],
    parts: list[dict[str, Any]],
    options: argparse.Namespace,
) -> str:
    """Writes the tables."""
    most = max(limit["matrix"], limit["convolution"])
    versions: dict[str, str] = {}
    for found in nets.values():
        versions |= found["torch"].get("versions", {})
    rows = [_format_net(name, found, most) for name, found in nets.items()]
    return "\n".join(
        [
            "# Speed, beside the machine's limit",
            "",
            *list_origin("one thread", **versions),
            f"- Limit, measured in the same run: matrix product "
            f"{limit['matrix'] / 1e9:,.1f} GFLOP/s, 3x3 convolution "
            f"{limit['convolution'] / 1e9:,.1f} GFLOP/s; shares are of the "
            "larger one",
            "- Images of 28 px and 3 channels in batches of 128, where nothing "
            "else is said; `unet` in batches of 8, `transfer` (MobileNet 0.25, "
            "all of it trained) of 32. Adam, cross entropy; images/s of the "
            f"fastest of {options.turns} turns of about {options.seconds:g} s "
            "each; a step of training counts three times the operations of "
            "the forward pass",
            "- First step: from building the net to the end of its first step, "
            "with the import of Keras. Memory: peak of the process by then",
            "",
            NETS,
            *rows,
            "",
            "## With and without oneDNN",
            "",
            "medzoo asks TensorFlow for oneDNN on Linux on x86; by itself "
            "TensorFlow uses it with AVX-512 alone. Images/s in training, with "
            "it (as above) and under `TF_ENABLE_ONEDNN_OPTS=0`.",
            "",
            PLAIN,
            *(_format_plain(n, "on", nets[n]["speed"]) for n in plain),
            *(_format_plain(n, "off", f["speed"]) for n, f in plain.items()),
            "",
            "## Where a step goes",
            "",
            f"Medians of stretches of {STEPS} steps. Batches: the order of "
            "images, their gathering and joining; network: the loop of steps "
            "in TensorFlow's graph, which sets the rates too.",
            "",
            PARTS,
            *map(_format_parts, parts),
            "",
        ]
    )


def _format_net(name: str, found: dict[str, Any], limit: float) -> str:
    speed, flops = found["speed"] | found["torch"]["speed"], found["flops"]
    see = "inference" if "inference" in speed else "predict"
    words = {way: f"{value:,.0f}" for way, value in speed.items()}
    cells = [
        name,
        f"{found['parameters']:,}",
        f"{flops / 1e6:.2f}",
        *(words.get(way, "-") for way in (*WAYS, "torch")),
        f"{3 * flops * speed['medzoo'] / limit:.1%}",
        *(
            words.get(w, "-")
            for w in ("inference", "predict", "torch inference")
        ),
        f"{flops * speed[see] / limit:.1%}",
        f"{found['first_step']:.1f}",
        f"{found['memory']:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _format_plain(name: str, onednn: str, speed: dict[str, float]) -> str:
    rates = (f"{speed[way]:,.0f}" if way in speed else "-" for way in WAYS)
    return f"| {' | '.join([name, onednn, *rates])} |"


def _format_parts(found: dict[str, Any]) -> str:
    parts = [found[part] for part in ("batches", "network")]
    shares = [f"{part / sum(parts):.1%}" for part in parts]
    cells = [found["net"], str(found["batch"]), f"{1000 * sum(parts):.2f}"]
    return f"| {' | '.join([*cells, *shares])} |"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/speed.md")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
