"""The daemon, its workers and the command line.

`core` decides, `edge` touches the world, the files beside them only put things in order.
"""
