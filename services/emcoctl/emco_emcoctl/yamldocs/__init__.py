"""Multi-document YAML as the original client reads it: the text in, documents with typed values out (emcoctl 3)."""

from emco_emcoctl.yamldocs.nodes import Mapping, Node, Scalar, Sequence, documents
from emco_emcoctl.yamldocs.scalars import Timestamp
from emco_emcoctl.yamldocs.values import Decoder, kind

__all__ = ["Decoder", "Mapping", "Node", "Scalar", "Sequence", "Timestamp", "documents", "kind"]
