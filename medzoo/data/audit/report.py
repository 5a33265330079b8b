"""An audit in words: for the screen, and as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from medzoo.data.audit.audit import Audit, Pair
from medzoo.data.audit.near_duplicates import ALIKE
from medzoo.data.custom.cache import write_rows
from medzoo.tasks import SPLITS

# From which splits differ by more than chance.
_SURE = 0.01
_MOST = 20


def format_audit(found: Audit) -> list[str]:
    """Words the findings, one a line, what is wrong before what is right."""
    sizes = ", ".join(f"{name} {found.num_images[name]}" for name in SPLITS)
    wrong, right = [], []

    def tell(count: object, bad: str, good: str) -> None:
        wrong.append(bad) if count else right.append(good)

    tell(found.line(), found.line(), "Nothing of val or test is in train.")
    tell(
        found.test_in_val,
        f"{found.test_in_val} test images are in val as well.",
        "Nothing of test is in val.",
    )
    tell(
        found.exact,
        f"{found.exact} exact duplicates, {found.exact_across} of them across "
        "splits.",
        "No exact duplicates.",
    )
    tell(
        found.near,
        f"{found.near} near duplicates (correlation of at least {ALIKE}), "
        f"{found.near_across} of them across splits.",
        "No near duplicates.",
    )
    tell(
        found.conflicts,
        f"{found.conflicts} of these pairs have different labels.",
        "No such pair has different labels.",
    )
    shown = ", ".join(found.split_groups[:_MOST])
    tell(
        found.split_groups,
        f"{len(found.split_groups)} groups lie in two splits: {shown}",
        "No group lies in two splits.",
    )
    for shift in found.shifts:
        what = (
            f"classes of {shift.first} and {shift.second} (chi-square test, "
            f"p = {shift.p:.2g}, Cramer's V {shift.cramers_v:.2f})."
        )
        tell(shift.p < _SURE, f"Other {what}", f"Alike: {what}")
    return [f"{found.task}: {sizes}", *wrong, *right]


def write_audit(
    found: Audit, pairs: Sequence[Pair], folder: Path
) -> list[Path]:
    """Writes `audit.md` and `duplicates.csv` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    first, *lines = format_audit(found)
    rows = [
        f"| {p.kind} | {p.split} {p.image} | {p.label} | "
        f"{p.other_split} {p.other_image} | {p.other_label} | "
        f"{p.correlation:.4f} |"
        for p in pairs[:_MOST]
    ]
    parts = [f"# Audit of {first}", "\n".join(f"- {line}" for line in lines)]
    if rows:
        head = "| kind | image | label | other image | label | correlation |"
        rule = "| :--- | :--- | :--- | :--- | :--- | ---: |"
        told = f"The first {len(rows)} of {len(pairs)} pairs; all are in "
        parts += [
            f"{told}[duplicates.csv](duplicates.csv).",
            "\n".join([head, rule, *rows]),
        ]
    parts.append(
        "A pair is exact if all pixels are equal, and near if the correlation "
        f"of its pixels is at least {ALIKE}. `--drop-leaks` trains without the "
        f"{found.train_leaks} images of train that val or test have as well."
    )
    page = folder / "audit.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    table = folder / "duplicates.csv"
    write_rows(table, Pair._fields, pairs)
    return [page, table]
