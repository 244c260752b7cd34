"""Measurements of the codec: metrics, curves, comparisons. Needs the extra `eval`.

`bench` is behind `cdsrcodec bench`. These are run as modules, as
`python -m cdsrcodec.evaluation.results`: `results` makes docs/results and the README's table,
`monotone` and `targets` check promises of the encoder, `speed`, `overhead`, `enlargers`, `crops`
and `showcase` make figures, a table and pictures of the documents.
"""
