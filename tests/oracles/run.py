"""Runs one oracle over generated cases, ten at a time, and writes its fixture.

usage: run.py KIND BIN-FOLDER
"""

import json
import subprocess
import sys
import time

CASES = {"keda": 300, "argo": 240, "statefulset": 300, "deployment": 60}
SEED = "1"
PIECE = 10
MOST_S = 300

kind, programs = sys.argv[1:3]
arguments = ["-walks", "4"] if kind == "argo" else []
count = CASES[kind]
text = subprocess.run([f"{programs}/gen", kind, SEED, "300"], check=True, capture_output=True).stdout
cases = json.loads(text)["cases"][:count]
rows, begun = [], time.time()
for at in range(0, count, PIECE):
    piece = cases[at : at + PIECE]
    run = subprocess.run(
        [f"{programs}/{kind}", *arguments],
        input=json.dumps({"cases": piece}).encode(),
        capture_output=True,
        timeout=MOST_S,
        check=True,
    )
    for case, seen in zip(piece, json.loads(run.stdout)):
        assert case["id"] == seen["id"], (case["id"], seen["id"])
        # The controller's own validation refused it, so it stands still.
        if "error" in seen:
            continue
        row = {key: case.get(key) for key in ("id", "old", "new")}
        for key in ("old_most", "new_most"):
            row[key] = seen.get(f"{key}_one_edit", seen.get(key))
        row["transition_most"] = seen.get("transition_most")
        if "old_most_one_edit" in seen:
            row["old_over_images"] = seen["old_most"]
        rows.append(row)
    done = at + len(piece)
    left = (time.time() - begun) / done * (count - done)
    print(f"\r{kind}: {done} of {count} cases, {left:.0f} s left ", end="", flush=True)
print()
lines = ",\n".join(json.dumps(r, separators=(",", ":"), sort_keys=True) for r in rows)
with open(f"tests/fixtures/oracles/{kind}.json", "w", encoding="utf-8") as file:
    file.write(f"[\n{lines}\n]\n")
