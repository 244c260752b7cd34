"""`cdsrcodec bench`: codecs x qualities x enlargers over a folder of pictures.

plan -> measuring (one unit of work) -> journal -> summary, crossover, timing -> report: plots,
page. `running` drives the first three.
"""
