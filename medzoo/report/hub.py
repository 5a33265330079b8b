"""A trained model as a repository of Hugging Face: card, model, record."""

import json
import shutil
from pathlib import Path
from typing import Any

from medzoo.data.custom.address import is_custom
from medzoo.data.custom.options import complete
from medzoo.files import filling, writing
from medzoo.messages import encode_text
from medzoo.record import MODEL, RECORD, Predictions, Record
from medzoo.report.card import describe_weights, make_card
from medzoo.report.without_paths import hide_folders
from medzoo.scores.table import format_score
from medzoo.tasks import get_task
from medzoo.training.saved import Saved

PREPROCESSING = "preprocessing.json"
_CLASSIFIES = "image-classification"
# Names that Hugging Face has for scores.
_METRICS = {
    "dice": "dice",
    "mean_iou": "mean_iou",
    "macro_f1": "f1",
    "balanced_accuracy": "balanced_accuracy",
    "accuracy": "accuracy",
    "auc": "roc_auc",
    "mcc": "matthews_correlation",
}
# The data set there that has the official files of MedMNIST.
_MEDMNIST = "albertvillanova/medmnist-v2"


def write_repository(
    saved: Saved,
    record: Record,
    folder: Path,
    predictions: Predictions,
    *,
    repository: str = "",
    licence: str = "",
) -> list[Path]:
    """Writes the folder of a model repository.

    Args:
        saved: The model, which was loaded and so can be.
        record: Of its run, which is done.
        folder: Where; files of the same names are replaced.
        predictions: What the store keeps beside the record.
        repository: Its name, such as `user/name`, if it has one.
        licence: Identifier of the licence; that of the data, or `other`, if
            left out.

    Returns:
        The files.
    """
    record = hide_folders(record)
    texts = {
        "README.md": make_readme(record, predictions, repository, licence),
        RECORD: record.model_dump_json(indent=2) + "\n",
        PREPROCESSING: _format(describe_input(saved, record)),
    }
    with writing(folder), filling(folder) as part:
        shutil.copyfile(saved.path, part / MODEL)
        for name, text in texts.items():
            (part / name).write_bytes(encode_text(text))
    return [folder / name for name in ("README.md", MODEL, *[*texts][1:])]


def make_readme(
    record: Record,
    predictions: Predictions,
    repository: str = "",
    licence: str = "",
) -> str:
    """Makes the model card with metadata before it; see `write_repository`.

    JSON is YAML, and each value is on a line of its own.
    """
    metadata = make_metadata(record, licence)
    lines = [f"{k}: {json.dumps(v)}" for k, v in metadata.items()]
    card = make_card(record, predictions)
    use = _USE.format(repository=repository or "USER/NAME")
    return "\n".join(["---", *lines, "---", "", card.rstrip(), "", use])


_USE = """## How to use it

It takes raw `uint8` pixels and gives logits; `preprocessing.json` says more.

```bash
hf download {repository} --local-dir model
medzoo predict model image.png
```
"""


def make_metadata(record: Record, licence: str = "") -> dict[str, Any]:
    """Makes what Hugging Face sorts and filters models by."""
    run = record.run
    kind = "image-segmentation" if record.mask_classes else _CLASSIFIES
    results = [_list_scores(record, task, kind) for task in run.tasks]
    metrics = [m["type"] for found in results for m in found["metrics"]]
    name = f"{run.model} on {', '.join(run.tasks)}"
    return {
        "license": licence or find_licence(record),
        "library_name": "keras",
        "pipeline_tag": kind,
        "tags": ["medzoo", "medical", *run.tasks, run.model],
        **({"datasets": [_MEDMNIST]} if run.data == "medmnist" else {}),
        "metrics": [*dict.fromkeys(metrics)],
        "model-index": [{"name": name, "results": results}],
    }


def find_licence(record: Record) -> str:
    """Finds the licence that the data ask for; `other` if it is not known.

    Weights of others come under a licence of their own.

    Example:

    >>> from medzoo.runs.run import Run
    >>> run = Run(task="dermamnist")
    >>> find_licence(Record(run=run, run_id=run.run_id, status="done"))
    'cc-by-nc-4.0'
    """
    run = record.run
    if run.data != "medmnist" or describe_weights(run):
        return "other"
    found = {get_task(task).licence for task in run.tasks}
    return found.pop().lower().replace(" ", "-") if len(found) == 1 else "other"


def _list_scores(record: Record, task: str, kind: str) -> dict[str, Any]:
    """Lists the scores on test of one task of a run."""
    run, scores = record.run, record.of_task(task).scores.get("test", {})
    official = run.data == "medmnist"
    name = get_task(task).title if official else task
    return {
        "task": {"type": kind},
        "dataset": {
            "name": f"{name} ({run.data}, {run.size} px)",
            "type": _MEDMNIST if official else task,
            **({"config": task} if official else {}),
            "split": "test",
        },
        "metrics": [
            {"type": metric, "name": format_score(score), "value": round(x, 4)}
            for score, metric in _METRICS.items()
            if (x := scores.get(score)) is not None
        ],
    }


def describe_input(saved: Saved, record: Record) -> dict[str, Any]:
    """Describes what the model takes and gives, for those without medzoo."""
    run = record.run
    about: dict[str, Any] = {
        "input": {
            "shape": saved.input_shape,
            "dtype": "uint8",
            "values": "0 to 255, channels last; a backbone's own scaling is "
            "inside the model",
        },
        "output": "logits" if not saved.has_masks else "logits of label, mask",
        "activation": run.output,
        "classes": record.classes,
        "mask_classes": record.mask_classes,
        "flip_test": run.flip_test,
        "adjust": run.adjust,
    }
    if is_custom(run.data):
        options = complete(run.data, run.size, run.data_options)
        about["files"] = {
            "mode": options.mode,
            "resize": options.resize,
            "intensity": options.intensity,
            "ranges_of_16_bits": record.ranges,
        }
    return about


def _format(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def require_hub() -> Any:
    """Imports `huggingface_hub` and looks for a token, before anything else.

    Raises:
        ValueError: If one of them is missing.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(
            "Pushing needs the package huggingface_hub. Expected it to be "
            "installed. Run `pip install 'medzoo[huggingface]'`, or write the "
            "folder alone with `--to FOLDER`."
        ) from None
    if not huggingface_hub.get_token():
        raise ValueError(
            "Pushing needs a token of Hugging Face. Expected `HF_TOKEN` in the "
            "environment, or that of `hf auth login`. Received: none."
        )
    return huggingface_hub


def push_repository(
    hub: Any, folder: Path, repository: str, *, private: bool = False
) -> str:
    """Uploads the folder of a model repository, which is made if need be.

    Args:
        hub: As of `require_hub`.
        folder: As `write_repository` writes it.
        repository: Such as `user/name`.
        private: Whether a repository that is made is private.

    Returns:
        Its address.

    Raises:
        ValueError: If it cannot be reached or is not ours.
    """
    from huggingface_hub.errors import HTTPError

    try:
        made = hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Upload a model of medzoo",
        )
    except (HTTPError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"`{repository}` cannot be pushed to. Expected a repository that "
            f"the token may write to. Received: {reason}"
        ) from error
    return str(made)
