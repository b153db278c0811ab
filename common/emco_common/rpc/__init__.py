"""The door to gRPC: contracts as ``.proto`` files, their generated stubs, and how to serve and reach them.

The messages carry no package, as the specification demands. After changing a contract run ``make proto``.
"""
