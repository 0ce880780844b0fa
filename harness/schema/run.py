"""One run as data: what was asked for, and what the sealed manifest says of it. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

RunStatus = Literal["done", "skipped", "incomplete", "failed"]
"""How a request to run ended: sealed now, sealed before, stopped early but resumable, or stopped by an error."""

MAX_SEED = 2**32 - 1
"""What numpy and scikit-learn take."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a run that one worker makes."""

    index: int
    """From 1."""
    of: int
    """How many there are."""
    dialogues: tuple[str, ...]
    """Ids of the dialogues to predict."""

    @property
    def name(self) -> str:
        """`<index>-of-<of>`: the name of its folder."""
        return f"{self.index}-of-{self.of}"


@dataclass(frozen=True, slots=True)
class Job:
    """A request: one predictor with its parameters, on one split, with one seed. Plain enough to travel as JSON."""

    predictor: str
    params: Mapping[str, Any]
    """Parameters as given; the rest takes its defaults."""
    dataset: str
    """Registered name, or path of a folder with a card.toml."""
    split: str
    seed: int
    shard: Shard | None = None
    """None: the whole split."""

    def to_json(self) -> str:
        """Returns the request as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Returns the request that `to_json` wrote."""
        fields = json.loads(text)
        shard = fields.pop("shard")
        return cls(**fields, shard=shard and Shard(shard["index"], shard["of"], tuple(shard["dialogues"])))


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What identifies a run: equal configurations share one folder."""

    predictor: str
    params: Mapping[str, Any]
    """All parameters, defaults included; JSON values."""
    dataset: str
    dataset_fingerprint: str
    """Over all splits: a run depends on what it was trained on too."""
    split: str
    seed: int

    @property
    def config_id(self) -> str:
        """The first 8 hex digits of the SHA-256 of the configuration without its seed, as sorted compact JSON."""
        fields = {
            "dataset": self.dataset,
            "dataset_fingerprint": self.dataset_fingerprint,
            "params": dict(self.params),
            "predictor": self.predictor,
            "split": self.split,
        }
        canonical = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def run_id(self) -> str:
        """`seed<k>-<config_id>`: the name of the run's folder."""
        return f"seed{self.seed}-{self.config_id}"


@dataclass(frozen=True, slots=True)
class PredictorRecord:
    """The predictor of a run, as it was then."""

    name: str
    origin: str
    """'erc-harness', a distribution, or a plugin's module; of an imported run the harness that made it."""
    card: Mapping[str, Any]
    """Fields of its `PredictorCard`."""
    params_given: Mapping[str, Any]
    """As passed by the user."""
    params: Mapping[str, Any]
    """As resolved, defaults included."""
    params_changed: Mapping[str, Any]
    """Those whose value is not the default: they tell rows of one predictor apart."""
    code_sha256: str
    """Of the source file that defines it; '' if there is none."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What it says of itself once it has predicted: model revision, template and its hash, exemplars, usage, ..."""

    @property
    def imported(self) -> Mapping[str, Any] | None:
        """Where an imported run comes from: {from, samples, and task, results and scores if told}; None for our own."""
        found: Mapping[str, Any] | None = self.facts.get("imported")
        return found

    @property
    def label(self) -> str:
        """Row label: the name, with changed parameters in brackets."""
        return row_label(self.name, self.params_changed)


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The data of a run."""

    dataset: str
    split: str
    fingerprint: str
    """SHA-256 of the split."""
    dataset_fingerprint: str
    """SHA-256 over the fingerprints of all splits."""
    labels: tuple[str, ...]
    neutral: str | None
    n_dialogues: int
    """Dialogues with at least one annotated utterance."""
    n_utterances: int
    """Annotated utterances, the targets."""
    metric: str
    """Main metric of the dataset."""
    notes: tuple[str, ...]
    """Anomalies of the dataset that a reader of a table must know."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The seal of a finished run; written last, so that a folder with a manifest is complete."""

    format: int
    run_id: str
    seed: int
    predictor: PredictorRecord
    data: DataRecord
    statuses: Mapping[str, int]
    """Number of predictions per status."""
    versions: Mapping[str, str]
    """Python and the packages that can change a result."""
    git: Mapping[str, Any] | None
    """{commit, dirty} of the checkout the code ran from; None for an installed package."""
    hardware: Mapping[str, Any]
    """{platform, processor, n_cores, memory_gib, accelerator}."""
    times: Mapping[str, Any]
    """{started: ISO 8601 UTC, fit_seconds and predict_seconds (None: not told), n_sessions}."""
    files: Mapping[str, str]
    """SHA-256 by file name."""
    sha256: str = ""
    """Of the manifest's own file with this value left empty; '' in manifests that do not vouch for themselves."""

    @property
    def coverage(self) -> float:
        """Share of targets with a usable label."""
        return self.statuses.get("ok", 0) / max(1, sum(self.statuses.values()))


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What came of a job."""

    run_id: str
    predictor: str
    dataset: str
    split: str
    seed: int
    path: str
    """Folder of the run."""
    status: RunStatus
    seconds: float
    """Time this call spent on it."""
    detail: str = ""
    """Why it failed or stopped, or what to know about a skipped one."""


def row_label(name: str, params_changed: Mapping[str, Any]) -> str:
    """Returns a predictor's name with its changed parameters in brackets, such as `tfidf-svm[history=2]`."""
    if not params_changed:
        return name
    shown = (f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in sorted(params_changed.items()))
    return f"{name}[{','.join(shown)}]"
