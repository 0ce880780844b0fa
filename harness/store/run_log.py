"""The append-only log of a run that is not sealed yet: what is in it need never be done again.

One JSON object a line: first {"config_id": ..., "made_with": {"code": ..., ...}, "started": ...}; then
{"fit_seconds": ...} once the predictor has learned; then for each dialogue {"dialogue_id": ..., "seconds": ...,
"predictions": [[utterance_id, label, status, scores or null, generation or null], ...]}. A session that takes up the
run adds {"session": n}. Every line ends in a checksum of the rest of it, "crc32": 8 hex digits. A process killed while
writing leaves half a line: it is cut off. Lines that are not what was written make the file be moved aside; what the
other lines say is kept, and the rest done again. A shard of a run has a log of the same form, which is taken into that
of the run.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from harness.bounded import open_regular, parse_json
from harness.data.damage import set_aside
from harness.data.writing import disk, settle
from harness.errors import PredictionError, StoreError
from harness.schema import Generation, Prediction


@dataclass(slots=True)
class LogContent:
    """What a log says so far."""

    started: str = ""
    """ISO 8601 UTC time of the first session."""
    n_sessions: int = 0
    fit_seconds: float = 0.0
    predictions: dict[str, list[Prediction]] = field(default_factory=dict)
    """By dialogue id."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What predicting them took, by dialogue id."""


SYNC_SECONDS = 1.0
"""Between two commands to the disk to keep what was written: work that takes longer than that is kept at once."""


class RunLog:
    """Appends to a log.

    A line is the system's before the call returns, and survives the process. Where the machine loses its power, lines
    may be lost that were written within `SYNC_SECONDS` of the last ones that were flushed.
    """

    def __init__(self, path: Path, config_id: str, made_with: Mapping[str, str], now: str) -> None:
        """Opens or begins the log of a configuration.

        Args:
            path: file; its folder exists.
            config_id: of the run; another one in the file is an error.
            made_with: code and versions; a log made with others is begun anew, so that no run mixes two of them.
            now: ISO 8601 UTC time.

        Raises:
            StoreError: the file cannot be read or written.
        """
        self.path = path
        self._config_id, self._made_with = config_id, dict(made_with)
        with disk(path):
            self.content, size = self._read(path) if path.exists() else (LogContent(), 0)
            self._file: BinaryIO = path.open("r+b" if size else "wb")
            self._file.truncate(size)
            self._file.seek(size)
        self._synced = time.monotonic() - SYNC_SECONDS
        self.content.n_sessions += 1
        if not size:
            self.content.started = now
            self._append({"config_id": config_id, "made_with": self._made_with, "started": now})
        else:
            self._append({"session": self.content.n_sessions})

    def fitted(self, seconds: float) -> None:
        """Notes that the predictor has learned, in this many seconds."""
        self.content.fit_seconds += seconds
        self._append({"fit_seconds": seconds})

    def predicted(self, dialogue_id: str, predictions: Sequence[Prediction], seconds: float) -> None:
        """Keeps the predictions of one dialogue."""
        self._append(_record(dialogue_id, predictions, seconds))
        self._keep(dialogue_id, predictions, seconds)

    def take_in(self, path: Path) -> None:
        """Adds the dialogues that the log of a shard of this run has and this one lacks, and what learning took there.

        A log made with other code or versions adds nothing.

        Raises:
            StoreError: as for the log itself.
        """
        with disk(path):
            other, _ = self._read(path)
        new = {key: answer for key, answer in other.predictions.items() if key not in self.content.predictions}
        if not new:
            return
        records = [_record(key, answer, other.seconds[key]) for key, answer in new.items()]
        self._append({"fit_seconds": other.fit_seconds}, *records)
        self.content.fit_seconds += other.fit_seconds
        for key, answer in new.items():
            self._keep(key, answer, other.seconds[key])

    def close(self) -> None:
        """Closes the file, after its bytes have reached the disk.

        Raises:
            StoreError: they cannot.
        """
        with self._writing(), self._file:
            os.fsync(self._file.fileno())

    def _keep(self, dialogue_id: str, predictions: Sequence[Prediction], seconds: float) -> None:
        self.content.predictions[dialogue_id] = list(predictions)
        self.content.seconds[dialogue_id] = seconds

    def _append(self, *records: dict[str, Any]) -> None:
        with self._writing():
            self._file.write(b"".join(map(_line, records)))
            self._file.flush()
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot write {self._file.name}: {error.strerror}; free the disk and repeat: nothing is lost"
            ) from error

    def _read(self, path: Path) -> tuple[LogContent, int]:
        """Returns what the whole lines of a log say, and their length in bytes; nothing if it was made otherwise.

        A file with lines that are not what was written is moved aside, and has the others only from then on.
        """
        content = LogContent()
        with open_regular(path) as file:
            whole = file.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        good: list[bytes] = []
        damage = ""
        for number, line in enumerate(whole.splitlines(keepends=True), start=1):
            try:
                record = _read_line(line)
                if number == 1 and record["config_id"] != self._config_id:
                    raise ValueError(f"it belongs to configuration {record['config_id']!r}")
                if number == 1 and record["made_with"] != self._made_with:
                    return LogContent(), 0
                _take(content, record)
                good.append(line)
            except (ValueError, KeyError, TypeError, AttributeError, PredictionError) as error:
                damage = damage or f"line {number}: {error}"
                if number == 1:  # it says what the others belong to
                    break
        if damage:
            part = path.with_name(f"{path.name}.part")
            part.write_bytes(b"".join(good))
            set_aside(path, damage)
            settle(part, path)
        return content, sum(map(len, good))


def _take(content: LogContent, record: dict[str, Any]) -> None:
    """Adds what one line says."""
    if "config_id" in record:
        content.started, content.n_sessions = record["started"], 1
    elif "session" in record:
        content.n_sessions = record["session"]
    elif "fit_seconds" in record:
        content.fit_seconds += record["fit_seconds"]
    else:
        content.predictions[record["dialogue_id"]] = [_prediction(row) for row in record["predictions"]]
        content.seconds[record["dialogue_id"]] = float(record["seconds"])


def _record(dialogue_id: str, predictions: Sequence[Prediction], seconds: float) -> dict[str, Any]:
    """Returns the line of one dialogue."""
    rows = [
        [p.utterance_id, p.label, p.status, _plain(p.scores), asdict(p.generation) if p.generation else None]
        for p in predictions
    ]
    return {"dialogue_id": dialogue_id, "seconds": seconds, "predictions": rows}


def _line(record: dict[str, Any]) -> bytes:
    """Returns a record as a line: JSON whose last key is the checksum of what stands before it."""
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    return body + b',"crc32":"%08x"}\n' % zlib.crc32(body)


def _read_line(line: bytes) -> Any:
    """Returns the record of a line; raises ValueError if it is not what was written."""
    record = parse_json(line)
    if not isinstance(record, dict) or "crc32" not in record:
        raise ValueError("it has no checksum")
    del record["crc32"]
    body = line[: line.rfind(b',"crc32":"')]
    if body + b',"crc32":"%08x"}\n' % zlib.crc32(body) != line:
        raise ValueError("its checksum differs")
    return record


def _prediction(row: Sequence[Any]) -> Prediction:
    """Returns the prediction of a row of the log."""
    utterance_id, label, status, scores, made = row
    generation = None if made is None else Generation(**{**made, "exemplars": tuple(made["exemplars"])})
    return Prediction(utterance_id, label, scores, status, generation)


def _plain(scores: Mapping[str, float] | None) -> dict[str, float] | None:
    """Returns scores as Python floats: predictors may give numpy's, which JSON does not know."""
    return None if scores is None else {label: float(score) for label, score in scores.items()}
