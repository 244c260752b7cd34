"""Measurements of the codec: metrics, curves, anchors and sweeps. Needs the extra `eval`.

Each sweep is run as a module: `python -m cdsrcodec.evaluation.native`, `.sr4`, `.speed`.
"""
