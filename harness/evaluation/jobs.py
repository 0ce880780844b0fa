"""From a request to a run that can start: names looked up, parameters resolved, corpus read, folder known."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from harness.data import Dataset, Split, load_dataset
from harness.errors import ConfigError
from harness.llm.calls import CallSettings
from harness.metrics import get_metric
from harness.predictors import PREDICTORS, Predictor, PredictorCard, PredictorSpec
from harness.predictors.build import build_predictor, resolve_params
from harness.predictors.prompted import PromptedPredictor
from harness.predictors.session import Session
from harness.redaction import environment_secrets, hide_secrets_in
from harness.schema import Dialogue
from harness.schema.run import MAX_SEED, Job, PredictorRecord, RunConfig
from harness.store.atomic import sha256_of
from harness.store.layout import SHARDS, Layout, making_folder


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a job finds its data and leaves its results; plain enough to be sent to another process."""

    results_dir: Path
    data_dir: Path | None = None
    plugins: tuple[str, ...] = ()
    """Files and modules to load before looking up names."""
    rerun: bool = False
    """Whether sealed runs are thrown away and made again."""
    calls: CallSettings = field(default_factory=CallSettings)
    """How calls to language models are made."""


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A job with everything it needs looked up."""

    job: Job
    spec: PredictorSpec
    dataset: Dataset
    params: dict[str, Any]
    """Resolved, defaults included."""
    card: PredictorCard
    """Of the predictor under these parameters."""
    config: RunConfig
    folder: Path

    @property
    def split(self) -> Split:
        """The split to predict."""
        return self.dataset.split(self.job.split)

    @property
    def dialogues(self) -> list[Dialogue]:
        """The dialogues to predict: those of the split that have targets, or of the shard."""
        chosen = None if self.job.shard is None else set(self.job.shard.dialogues)
        return [d for d in self.split.dialogues if d.labelled() and (chosen is None or d.id in chosen)]

    def build(self) -> Predictor:
        """Returns a new predictor of this run, which knows what it will be asked about; raises HarnessError."""
        predictor = build_predictor(self.spec, self.params, self.job.seed)
        predictor.expect(self.job.split, self.dataset.utterance_ids)
        return predictor

    def predictor_record(self, facts: Mapping[str, Any]) -> PredictorRecord:
        """Returns what the manifest says of the predictor; the facts are its own."""
        defaults = resolve_params(self.spec, {})
        identified = self.spec.build.identify
        return PredictorRecord(
            name=self.spec.name,
            origin=PREDICTORS.row(self.spec.name).origin,
            card={key: value for key, value in asdict(self.card).items() if key != "takes"},
            params_given=identified(self.job.params),
            params=dict(self.config.params),
            params_changed={k: v for k, v in self.config.params.items() if v != defaults[k]},
            code_sha256=code_sha256(self.spec.build),
            facts=hide_secrets_in(facts),
        )


def prepare(job: Job, settings: Settings) -> PreparedRun:
    """Returns a job ready to run; nothing is written.

    Raises:
        HarnessError: of the class that fits: an unknown name, a bad parameter, a corpus that is missing or corrupt.
    """
    spec = PREDICTORS.get(job.predictor)
    params = resolve_params(spec, job.params)
    dataset = _load(job.dataset, settings.data_dir)
    dataset.split(job.split)
    get_metric(dataset.card.metric, dataset.card.label_set.labels, dataset.card.label_set.neutral)
    _check_buildable(spec, params, job.seed, dataset)
    identity = spec.build.identify(params)
    _check_public(identity)
    config = RunConfig(spec.name, identity, dataset.name, dataset.fingerprint, job.split, job.seed)
    folder = Layout(settings.results_dir).run(dataset.name, job.split, spec.name, config.run_id)
    if job.shard is not None:
        folder = making_folder(folder, settings.rerun) / SHARDS / job.shard.name
    card = spec.build.refine_card(spec.card, params)
    return PreparedRun(job, spec, dataset, params, card, config, folder)


def _check_public(params: Mapping[str, Any]) -> None:
    """Checks that no parameter is a secret of this machine, since manifests are published; raises ConfigError."""
    for key, value in params.items():
        if any(secret in str(value) for secret in environment_secrets()):
            raise ConfigError(
                f"-P {key}=...: its value is a key or password of the environment, and a manifest would publish it; "
                "let the predictor read it from the environment"
            )


def _check_buildable(spec: PredictorSpec, params: dict[str, Any], seed: int, dataset: Dataset) -> None:
    """Checks that the constructor takes the parameters and that what it learns from is there; raises ConfigError."""
    build_predictor(spec, params, seed)
    missing = [name for name in ("train", "dev") if name not in dataset.splits]
    if missing and spec.build.fit is not Predictor.fit:
        raise ConfigError(f"predictor {spec.name!r} learns, but dataset {dataset.name!r} has no {missing[0]} split")


def prompting_predictor(run: PreparedRun, settings: Settings) -> PromptedPredictor | None:
    """Returns the predictor of a run with all that its prompts show, outside of any run: no weights are trained.

    None if it prompts nobody.
    """
    if not issubclass(run.spec.build, PromptedPredictor):
        return None
    predictor = cast("PromptedPredictor", run.build())
    predictor.use(Session(settings.calls, settings.data_dir))
    if type(predictor).fit is not Predictor.fit:
        predictor.take_exemplars(run.dataset.split("train"))
    return predictor


def plan(jobs: Iterable[Job], settings: Settings) -> list[PreparedRun]:
    """Returns the runs behind some jobs, each once; a deterministic predictor keeps the first of its seeds only.

    Raises:
        ConfigError: a seed is negative, or too large.
        HarnessError: as `prepare`.
    """
    runs: dict[object, PreparedRun] = {}
    for job in jobs:
        if not 0 <= job.seed <= MAX_SEED:
            raise ConfigError(f"seed {job.seed!r}: expected a whole number from 0 to {MAX_SEED}")
        run = prepare(job, settings)
        key = run.folder.with_name(run.config.config_id) if run.card.deterministic else run.folder
        runs.setdefault(key, run)
    return list(runs.values())


def code_sha256(build: type[Predictor]) -> str:
    """Returns the SHA-256 of the source files that a predictor's answers depend on; '' if there are none.

    They are those that define it and its base predictors, and its `code_modules`.
    """
    classes = [cls for cls in build.__mro__ if issubclass(cls, Predictor) and cls is not Predictor]
    modules = [importlib.util.find_spec(name) for name in build.code_modules]  # found, not imported: some load torch
    paths = [inspect.getsourcefile(cls) for cls in classes] + [module.origin for module in modules if module]
    code = b"".join(Path(path).read_bytes() for path in paths if path and Path(path).is_file())
    return sha256_of(code) if code else ""


@lru_cache(maxsize=4)
def _load(name: str, data_dir: Path | None) -> Dataset:
    return load_dataset(name, data_dir)
