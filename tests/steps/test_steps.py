"""A sample of the random steps; tests/steps/run goes on for longer."""

import collections
import os

from trial import Trial

SEEDS, STEPS = range(1, 6), 60
DONE = ["encrypt", "slow encrypt", "key rotate", "key destroy", "rewrap", "rewrap --to", "rewrap --add", "reencrypt", "status --needs"]


def test_random_steps_lose_no_file(tmp_path):
    seen = collections.Counter()
    for seed in SEEDS:
        trial = Trial(os.environ["BULLA"], tmp_path / str(seed), seed)
        trial.run(STEPS)
        seen += trial.seen
    assert not [kind for kind in DONE if not seen[kind, 0]], "steps of which none is ever done show nothing"
    assert seen["key destroy", 7] and sum(count for (_, status), count in seen.items() if status == -9) > 5, seen
