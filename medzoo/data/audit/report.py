"""Audits as lines for the screen, as Markdown and as CSV."""

from collections.abc import Sequence
from pathlib import Path

from medzoo.data.audit.audit import Audit, Pair
from medzoo.data.audit.near_duplicates import ALIKE, STRUCTURE
from medzoo.files import write_csv
from medzoo.messages import encode_text
from medzoo.tasks import SPLITS

# From which splits differ by more than chance.
_SURE = 0.01
_MOST = 20


def format_audit(findings: Audit) -> list[str]:
    """Words the findings, one a line, what is wrong before what is right."""
    a, wrong, right = findings, list[str](), list[str]()
    num_groups = len(a.split_groups)
    shown = ", ".join(a.split_groups[:_MOST])
    for is_bad, bad, good in (
        (a.line(), a.line(), "Nothing of val or test is in train."),
        (
            a.test_in_val,
            f"{a.test_in_val} test images are in val as well.",
            "Nothing of test is in val.",
        ),
        (
            a.exact,
            f"{a.exact} exact duplicates, {a.exact_across} of them across "
            "splits.",
            "No exact duplicates.",
        ),
        (
            a.near,
            f"{a.near} near duplicates (correlation of {ALIKE} beside "
            f"the mean image, {STRUCTURE} of its structure), "
            f"{a.near_across} of them across splits"
            f"{f', {a.turned} turned or mirrored' if a.turned else ''}.",
            "No near duplicates.",
        ),
        (
            a.conflicts,
            f"{a.conflicts} of these pairs have different labels.",
            "No such pair has different labels.",
        ),
        (
            num_groups,
            f"{num_groups} groups are in two splits: {shown}",
            "No group is in two splits.",
        ),
    ):
        wrong.append(bad) if is_bad else right.append(good)
    for shift in a.shifts:
        what = (
            f"classes of {shift.first} and {shift.second} (chi-square test, "
            f"p = {shift.p:.2g}, Cramer's V {shift.cramers_v:.2f})."
        )
        if shift.p < _SURE:
            wrong.append(f"Other {what}")
        else:
            right.append(f"Alike: {what}")
    sizes = ", ".join(f"{name} {a.num_images[name]}" for name in SPLITS)
    return [f"{a.task}: {sizes}", *wrong, *right]


def write_audit(
    findings: Audit, pairs: Sequence[Pair], folder: Path
) -> list[Path]:
    """Writes `audit.md` and `duplicates.csv` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    first, *lines = format_audit(findings)
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
        shown = f"The first {len(rows)} of {len(pairs)} pairs; all are in "
        parts += [
            f"{shown}[duplicates.csv](duplicates.csv).",
            "\n".join([head, rule, *rows]),
        ]
    parts.append(
        "A pair is exact if all pixels are equal. It is near if what it has "
        f"beside the mean image correlates by at least {ALIKE}, and its "
        f"structure (the difference of two blurs) by {STRUCTURE}; bars at the "
        "edges do not count. "
        "Images turned by quarters or mirrored are compared as well; those "
        "cropped to 90 % or less are not found. "
        "`--drop-leaks` trains without the "
        f"{findings.train_leaks} images of train that val or test have as well."
    )
    page = folder / "audit.md"
    page.write_bytes(encode_text("\n\n".join(parts) + "\n"))
    table = folder / "duplicates.csv"
    write_csv(table, Pair._fields, pairs)
    return [page, table]
