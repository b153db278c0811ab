"""``python -m emco_emcoctl`` is emcoctl."""

from emco_emcoctl.main import cli

cli()
