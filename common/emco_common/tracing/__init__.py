"""Traces: what was done for whom, where and for how long, as OpenTelemetry tells it. Off, it is not even imported.

``spans`` is what the rest of the program uses: a span below the present one, if there is one. ``process`` has the one
``Tracing`` of a process, ``wire`` how a trace goes from one process to the next, ``origin`` how what is done later
tells who asked for it; ``requests``, ``grpc`` and ``doors`` are the places where spans begin.
"""
