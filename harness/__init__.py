"""erc-harness: compare systems for emotion recognition in conversations, honestly.

The story in one breath. A *dataset* has *splits* of *dialogues*; `load_dataset` reads one and fingerprints it. A
*predictor* labels utterances: it gets a `DialogueView`, in which there is no gold and no context that it did not
declare, and returns one `Prediction` per target. `register_predictor` gives it a name. A *run* is one predictor on one
split with one seed, sealed under `results/runs`; `RunStore` finds runs. A *metric* is a pure function of confusion
counts summed over dialogues; `score_table`, `compare_runs` (a pair) and `compare_all` (all pairs) need the stored
counts only, no model and no corpus.
`build_leaderboard` ranks the runs that a board asks for and says which differences are real; `export_leaderboard`
prints it for a paper, and `Leaderboard.to_frame` gives any of its tables to pandas. `build_atlas` scores runs slice by
slice of a split; `register_slice` adds a slice. `load_literature` holds what papers report, which is shown beside and
never ranked.

    from harness import DialogueView, Prediction, Predictor, PredictorCard, register_predictor

    @register_predictor("lab/cheerful", card=PredictorCard(family="simple", deterministic=True))
    class Cheerful(Predictor):
        def predict(self, dialogue: DialogueView) -> list[Prediction]:
            return [Prediction(utterance.id, "joy") for utterance in dialogue.targets]
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

try:
    __version__ = version("erc-harness")
except PackageNotFoundError:  # a bare checkout
    __version__ = "0.1.0"

from harness.data import Dataset, DatasetCard, Split, load_dataset, register_dataset
from harness.errors import HarnessError
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.schema import Dialogue, DialogueView, LabelSet, Prediction, Utterance, UtteranceView

if TYPE_CHECKING:
    from harness.evaluation.comparison import Comparison, LabelledComparison, compare_all, compare_runs
    from harness.evaluation.scoring import score_table
    from harness.export import export_leaderboard
    from harness.leaderboard.build import build_leaderboard
    from harness.leaderboard.leaderboard import Leaderboard
    from harness.leaderboard.spec import BoardSpec, load_spec
    from harness.literature import Literature, load_literature
    from harness.slices import register_slice
    from harness.slices.atlas import build_atlas
    from harness.store import Layout, RunStore, StoredRun

_LATE = {
    "BoardSpec": "harness.leaderboard.spec",
    "Comparison": "harness.evaluation.comparison",
    "LabelledComparison": "harness.evaluation.comparison",
    "Layout": "harness.store",
    "Leaderboard": "harness.leaderboard.leaderboard",
    "Literature": "harness.literature",
    "RunStore": "harness.store",
    "StoredRun": "harness.store",
    "build_atlas": "harness.slices.atlas",
    "build_leaderboard": "harness.leaderboard.build",
    "compare_all": "harness.evaluation.comparison",
    "compare_runs": "harness.evaluation.comparison",
    "export_leaderboard": "harness.export",
    "load_literature": "harness.literature",
    "load_spec": "harness.leaderboard.spec",
    "register_slice": "harness.slices",
    "score_table": "harness.evaluation.scoring",
}
"""Names whose modules need numpy or pydantic: imported on first use, so that `import harness` stays fast."""

__all__ = [
    "BoardSpec",
    "Comparison",
    "Dataset",
    "DatasetCard",
    "Dialogue",
    "DialogueView",
    "HarnessError",
    "LabelSet",
    "LabelledComparison",
    "Layout",
    "Leaderboard",
    "Literature",
    "Prediction",
    "Predictor",
    "PredictorCard",
    "RunStore",
    "Split",
    "StoredRun",
    "Utterance",
    "UtteranceView",
    "__version__",
    "build_atlas",
    "build_leaderboard",
    "compare_all",
    "compare_runs",
    "export_leaderboard",
    "load_dataset",
    "load_literature",
    "load_spec",
    "register_dataset",
    "register_predictor",
    "register_slice",
    "score_table",
]


def __getattr__(name: str) -> Any:
    """Imports a late name."""
    if name not in _LATE:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
