"""Corpora: one reader a file, splits with fingerprints, a catalogue, fetching, overlap. Knows no predictor."""

from harness.data.catalogue import DATASETS, DatasetSpec, find_dataset, list_datasets, load_dataset, register_dataset
from harness.data.dataset import Dataset, DatasetCard
from harness.data.split import SPLIT_NAMES, Split, SplitName

BUILTIN = {
    "sample": "harness.data.jsonl:read_sample",
    "meld": "harness.data.meld:read_meld",
    "emorynlp": "harness.data.emorynlp:read_emorynlp",
    "emorynlp-official": "harness.data.emorynlp_official:read_emorynlp_official",
    "iemocap": "harness.data.iemocap:read_iemocap",
    "iemocap-4": "harness.data.iemocap:read_iemocap_4",
    "dailydialog": "harness.data.dailydialog:read_dailydialog",
}
"""Datasets of this distribution: name -> "module:function", imported on first use."""

__all__ = [
    "BUILTIN",
    "DATASETS",
    "SPLIT_NAMES",
    "Dataset",
    "DatasetCard",
    "DatasetSpec",
    "Split",
    "SplitName",
    "find_dataset",
    "list_datasets",
    "load_dataset",
    "register_dataset",
]

for _name, _target in BUILTIN.items():
    DATASETS.add_lazy(_name, _target, origin="erc-harness")
