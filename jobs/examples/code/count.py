"""Count which digits are taken for which: a [finally] step, which gets all results in a file, one JSON object a line.

    grist results confusion > all.jsonl && python count.py all.jsonl
"""

import collections
import json
import os
import sys


def count_pairs(lines):
    """How often each (label, guess) came up."""
    results = (json.loads(line)["result"] for line in lines)
    return collections.Counter((result["label"], result["guess"]) for result in results)


def main(path):
    with open(path) as lines:
        pairs = count_pairs(lines)
    total, right = sum(pairs.values()), sum(count for (label, guess), count in pairs.items() if label == guess)
    print("label " + " ".join(f"{guess:5}" for guess in range(10)))
    for label in range(10):
        print(f"{label:5} " + " ".join(f"{pairs[label, guess] or '.':>5}" for guess in range(10)))
    print(f"{right} of {total} are right; {os.environ.get('GRIST_ITEMS_FAILED', '0')} failed")


if __name__ == "__main__":
    main(sys.argv[1])
