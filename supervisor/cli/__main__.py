"""`python -m gristmill.supervisor.cli`: the same as `grist`."""

import sys

from gristmill.supervisor.cli import main

sys.exit(main())
