"""TensorBoard: curves, the HParams view, and the figures of the report.

    tensorboard --logdir runs/tensorboard

Files are written by TensorBoard's own record writer, without TensorFlow.
"""

import io
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medzoo.files import filling

if TYPE_CHECKING:
    from medzoo.report.trackers import TrackedRun


def open_tracker(study: str, folder: Path) -> "TensorBoard":
    """Opens the folder of a study."""
    (folder / study).mkdir(parents=True, exist_ok=True)
    return TensorBoard(folder / study)


class TensorBoard:
    """A folder a run, which gets its name when it is complete.

    Args:
        folder: Of the study; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, entry: "TrackedRun") -> bool:
        """Whether the folder of a run is there."""
        return (self._folder / entry.record.run_id).is_dir()

    def log(self, entry: "TrackedRun") -> None:
        """Writes a run as a session of the HParams view."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        last = entry.curves[-1][0] if entry.curves else 0
        values = [
            (step, Summary(value=[Summary.Value(tag=tag, simple_value=value)]))
            for step, found in [*entry.curves, (last, entry.scores)]
            for tag, value in found.items()
        ]
        start, end = _session(entry)
        self._write(entry.record.run_id, [(0, start), *values, (last, end)])

    def finish(self, report: Sequence[Path]) -> None:
        """Writes the figures of the report."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        events = []
        for path in report:
            if path.suffix == ".png":
                content = path.read_bytes()
                with Image.open(io.BytesIO(content)) as image:
                    width, height = image.size
                picture = Summary.Image(
                    height=height,
                    width=width,
                    colorspace=3,
                    encoded_image_string=content,
                )
                value = Summary.Value(tag=path.stem, image=picture)
                events.append((0, Summary(value=[value])))
        shutil.rmtree(self._folder / "report", ignore_errors=True)
        self._write("report", events)

    def _write(self, name: str, events: Iterable[tuple[int, Any]]) -> None:
        """Writes a folder at once."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        now = time.time()
        with (
            filling(self._folder / name) as part,
            open(part / f"events.out.tfevents.{now:.0f}", "wb") as file,
        ):
            writer = RecordWriter(file)
            first = Event(wall_time=now, file_version="brain.Event:2")
            writer.write(first.SerializeToString())
            for step, summary in events:
                event = Event(wall_time=now, step=step, summary=summary)
                writer.write(event.SerializeToString())
            writer.flush()


def _session(entry: "TrackedRun") -> list[Any]:
    """Makes what begins and ends a session of the HParams view.

    TensorBoard's own functions for it import TensorFlow.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import (
        HParamsPluginData,
        SessionEndInfo,
        SessionStartInfo,
    )

    record = entry.record
    group = f"{entry.trial.name}, {record.run.task}"  # One of all its seeds.
    start = SessionStartInfo(group_name=group)
    config = entry.tags | entry.config
    for key, value in config.items():
        if isinstance(value, bool):
            start.hparams[key].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[key].number_value = value
        else:
            start.hparams[key].string_value = str(value)
    success = record.status == "done"
    end = SessionEndInfo(
        status=api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE
    )
    parts = {
        metadata.SESSION_START_INFO_TAG: HParamsPluginData(
            session_start_info=start
        ),
        metadata.SESSION_END_INFO_TAG: HParamsPluginData(session_end_info=end),
    }
    return [
        Summary(
            value=[
                Summary.Value(
                    tag=tag,
                    metadata=metadata.create_summary_metadata(data),
                    tensor=metadata.NULL_TENSOR,
                )
            ]
        )
        for tag, data in parts.items()
    ]
