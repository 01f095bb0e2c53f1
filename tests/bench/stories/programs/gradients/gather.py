"""`python gather.py RESULTS`: the sums over all ranges, when the last has ended; they go to gathered.json."""

import json
import sys
from pathlib import Path

import nets

with open(sys.argv[1]) as lines:
    found = nets.gather(lines)
Path("gathered.json").write_text(json.dumps(found))
print(found)
