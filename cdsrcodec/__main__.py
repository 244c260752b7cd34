"""`python -m cdsrcodec`: the command line without an installed script."""

from __future__ import annotations

from cdsrcodec.cli.main import cli

if __name__ == "__main__":
    cli(prog_name="cdsrcodec")
