"""Measurements of the codec: metrics, curves, anchors and sweeps. Needs the extra `eval`.

`bench` is behind `cdsrcodec bench`. Each other sweep is run as a module:
`python -m cdsrcodec.evaluation.native`, `.sr4`, `.speed`.
"""
