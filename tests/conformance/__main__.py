"""``python -m tests.conformance FOLDER``: makes the page from the evidence that a run left in the folder."""

import sys
from pathlib import Path

from tests.conformance.page import PAGE, Evidence, written
from tests.conformance.published import OPENAPI, operations

if not OPENAPI.exists():
    raise SystemExit(f"{OPENAPI} is not here; point EMCO_SHARED at the folder with emco/openapi.yaml")
PAGE.write_text(written(operations(), Evidence.read(Path(sys.argv[1]))), encoding="utf-8")
