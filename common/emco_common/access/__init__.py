"""Who gets where: which service answers a path, who may ask for it, and how a caller proves who it is.

``routes`` and ``roles`` are tables without I/O; the built-in ingress, the Istio resources and the Envoy configuration
are all made from them, so that a path and a right mean the same everywhere (spec deployment 6).
"""
