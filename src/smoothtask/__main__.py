"""`python -m smoothtask`."""

import sys

from smoothtask.cli import main

sys.exit(main())
