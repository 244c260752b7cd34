"""The program `cdsrcodec`, and `python -m cdsrcodec`: the command line, ready to be interrupted."""

from __future__ import annotations

import sys

INTERRUPTED_EXIT_CODE = 130  # as cli.failures, which is among what is imported below


def main() -> None:
    """Run the command line.

    Its modules take their time to import, in which a Control-C is told like a later one, of
    which `cli.failures` takes care.
    """
    try:
        from cdsrcodec.cli import standard_streams

        standard_streams.open_missing_streams()  # before any file gets the number of one
        standard_streams.escape_what_no_encoding_takes()
        from cdsrcodec.cli.main import cli
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        raise SystemExit(INTERRUPTED_EXIT_CODE) from None
    try:
        cli(prog_name="cdsrcodec")
    except SystemExit as end:
        # If stdout cannot be written, that was told; of stderr the code tells all there is.
        standard_streams.forget_unwritten("stderr", *(["stdout"] if end.code else []))
        raise


if __name__ == "__main__":
    main()
