"""The context bus inside one process: an SQLite file, watches in memory. See ``bus``."""

from emco_common.contextbus.embedded.bus import EmbeddedBus

__all__ = ["EmbeddedBus"]
