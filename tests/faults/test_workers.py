"""A worker that is killed, or gets no more memory, costs its own run and no other; a repetition finishes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PLUGIN = """
import os, resource, signal
from pathlib import Path
from harness import Prediction, Predictor, PredictorCard, register_predictor

def predict(dialogue):
    return [Prediction(u.id, "joy") for u in dialogue.targets]

class Fine(Predictor):
    def predict(self, dialogue):
        return predict(dialogue)

class Killed(Fine):
    def predict(self, dialogue):
        if dialogue.dialogue_id == "test7" and not Path(os.environ["MENDED"]).exists():
            self.die()
        return predict(dialogue)

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Hungry(Killed):
    def die(self):
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, before[1]))
        try:
            bytearray(4 << 30)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

card = PredictorCard(family="test", context="past", deterministic=True)
for name, cls in {"lab/killed": Killed, "lab/hungry": Hungry, "lab/fine": Fine}.items():
    register_predictor(name, card=card)(cls)
"""


def test_a_worker_costs_its_own_run_only(stage: Any, tmp_path: Path) -> None:
    place, plugin = stage.place(), tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    place.environment["MENDED"] = str(tmp_path / "mended")
    command = ["run", "lab/killed", "lab/hungry", "lab/fine", "--dataset", "toy", "--plugin", str(plugin), "--jobs"]

    def sealed() -> list[str]:
        return sorted(path.parent.parent.name for path in place.root.rglob("manifest.json"))

    done = stage.act(place, [*command, "2"])
    assert done["code"] == 3
    assert sealed() == ["fine"]
    for name, said in {"lab/killed": "out of memory); repeat the command", "lab/hungry": "MemoryError"}.items():
        assert any(name in line and said in line for line in done["stderr"].splitlines()), done["stderr"]
    (tmp_path / "mended").touch()
    assert stage.act(place, [*command, "1"])["code"] == 0
    assert sealed() == ["fine", "hungry", "killed"]
