"""Where corpora come from: the addresses of their owners, the hashes of their files, and the terms. Fetches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.data.download import RemoteFile
from harness.data.files import parse_json, read_text
from harness.errors import DataError


@dataclass(frozen=True)
class Packed:
    """A file of a corpus inside an archive that lies inside another one."""

    archive: str
    """Name of the inner archive in the outer one."""
    name: str
    """Its name in the inner archive, and its path in the folder of the dataset."""


@dataclass(frozen=True)
class Source:
    """What may be downloaded of a corpus, and on which terms."""

    files: tuple[RemoteFile, ...]
    citation: str
    terms: str
    packed: tuple[Packed, ...] = ()
    """Files to unpack from the first of `files`."""


# Commit of declare-lab/MELD that has all three MELD files with these hashes; other public projects pin the same commit
# with the same hashes. The hashes of its EmoryNLP files are of copies taken from the repository's default branch.
_MELD = "https://raw.githubusercontent.com/declare-lab/MELD/e8cedf27b5d2877e198332c957127e16eb214afe/data"
# No commit of this repository is known to us; the hashes of dev and test are of copies of the official files.
_EMORYNLP = "https://raw.githubusercontent.com/emorynlp/emotion-detection/master/json"
# Source of the hash: huggingface/datasets, datasets/daily_dialog/dataset_infos.json, version 1.1.0 (4,475,921 bytes).
# A public archive's snapshot of this address has the same hash.
_DAILYDIALOG = "http://yanran.li/files/ijcnlp_dailydialog.zip"

EMORYNLP_TRAIN = {
    "episodes": 77,
    "scenes": 713,
    "utterances": 9_934,
    "Neutral": 3_034,
    "Joyful": 2_184,
    "Peaceful": 900,
    "Powerful": 784,
    "Scared": 1_285,
    "Mad": 1_076,
    "Sad": 671,
}
"""Counts of emotion-detection-trn.json. Source: README of emorynlp/emotion-detection, section Statistics."""


def check_emorynlp_train(path: Path) -> None:
    """Checks a copy of emotion-detection-trn.json, whose hash nobody published, by its published counts.

    Raises:
        DataError: it has another structure or other counts.
    """
    season = parse_json(read_text(path), path).fields(("season_id", "episodes"))
    episodes = [value.fields(("episode_id", "scenes")) for value in season["episodes"].items()]
    scenes = [value.mapping() for episode in episodes for value in episode["scenes"].items()]
    utterances = [value.mapping() for scene in scenes for value in scene["utterances"].items()]
    sizes = {"episodes": len(episodes), "scenes": len(scenes), "utterances": len(utterances)}
    found = Counter(utterance["emotion"].text() for utterance in utterances) + Counter(sizes)
    for what in sorted(EMORYNLP_TRAIN.keys() | found, key=lambda what: (what not in sizes, what)):
        if found[what] != EMORYNLP_TRAIN.get(what, 0):
            problem = f"it has {found[what]} {what}; expected {EMORYNLP_TRAIN.get(what, 0)}, as in the official release"
            raise DataError.at(path, problem)


_FRIENDS = "The dialogues are transcripts of the series Friends, in which others hold rights: for research."
_ZAHIRI = (
    "Zahiri and Choi (2018): Emotion Detection on TV Show Transcripts with Sequence-based Convolutional Neural "
    "Networks. AAAI Workshop on Affective Content Analysis."
)
_PORIA = (
    "Poria, Hazarika, Majumder, Naik, Cambria and Mihalcea (2019): MELD: A Multimodal Multi-Party Dataset for "
    "Emotion Recognition in Conversations. ACL."
)

SOURCES: Mapping[str, Source] = {
    "meld": Source(
        files=tuple(
            RemoteFile(f"{_MELD}/MELD/{split}_sent_emo.csv", f"{split}_sent_emo.csv", sha256)
            for split, sha256 in (
                ("train", "d2fa2d6529cf03cac2989efec05c9b27d8fd2f4c8fc5974c7ae88aa537fa02db"),
                ("dev", "2e89c6f8aa182d6f62f8c6331aece905ac7273ca4999660bfb5213e1d0370c1c"),
                ("test", "8d37103938f7067600839fe29d5a114a6cd1bcdafb75bec101e06464c5006888"),
            )
        ),
        citation=f"{_PORIA} Chen, Hsu, Kuo, Huang and Ku (2018): EmotionLines: An Emotion Corpus of Multi-Party "
        "Conversations. LREC.",
        terms=_FRIENDS,
    ),
    "emorynlp": Source(
        files=tuple(
            RemoteFile(f"{_MELD}/emorynlp/emorynlp_{split}_final.csv", f"emorynlp_{split}_final.csv", sha256)
            for split, sha256 in (
                ("train", "462c66c333783adb801836d12d1424f48489bef4fb8ddfec7fbb2f08ce8211d5"),
                ("dev", "20edc9d5917fe705b17b849f7f288e495d4132a60353a6247c3800445bdf8734"),
                ("test", "dbc4b5638acd12c92a5f48def829e04f1c765cddffb4eedbe34216312e0d2d78"),
            )
        ),
        citation=f"{_ZAHIRI} The copy with subtitles: {_PORIA}",
        terms=_FRIENDS,
    ),
    "emorynlp-official": Source(
        files=(
            RemoteFile(
                f"{_EMORYNLP}/emotion-detection-trn.json", "emotion-detection-trn.json", None, check_emorynlp_train
            ),
            RemoteFile(
                f"{_EMORYNLP}/emotion-detection-dev.json",
                "emotion-detection-dev.json",
                "177f0b8ae5442045ea60e6f7940e14b1a8c15c704201f01da1ba74943f99086e",
            ),
            RemoteFile(
                f"{_EMORYNLP}/emotion-detection-tst.json",
                "emotion-detection-tst.json",
                "2da84b0bffbc9da2f3b9de8016c2d3ae5478e6ccb26d473313368373b427dedc",
            ),
        ),
        citation=_ZAHIRI,
        terms=f"{_FRIENDS} Nobody published a hash of emotion-detection-trn.json: it is checked by its published "
        "counts of episodes, scenes, utterances and labels only, and its SHA-256 is shown for your records.",
    ),
    "dailydialog": Source(
        files=(
            RemoteFile(
                _DAILYDIALOG,
                "ijcnlp_dailydialog.zip",
                "c641e88cbf21fd7c1b57289387f9107d33fe8685a2b37fe8066b82776535ea89",
            ),
        ),
        citation="Li, Su, Shen, Li, Cao and Niu (2017): DailyDialog: A Manually Labelled Multi-turn Dialogue Dataset. "
        "IJCNLP.",
        terms="For research, not for commercial use. The authors' address has "
        "been reported not to answer; a zip from elsewhere, put in its place, is checked by its SHA-256.",
        packed=tuple(
            Packed(f"ijcnlp_dailydialog/{split}.zip", f"{split}/dialogues_{kind}{split}.txt")
            for split in ("train", "validation", "test")
            for kind in ("", "emotion_")
        ),
    ),
}
"""By name of the dataset. A dataset that is not here has to be asked for: its card says how."""
