"""python -m acr.gateway: the gateway's process."""

from __future__ import annotations

import sys

from acr.gateway.server import main

sys.exit(main())
