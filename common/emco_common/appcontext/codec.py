"""Keys and values to contexts and back: the one name under which both directions are found."""

from emco_common.appcontext.decoding import context_of, keys_of_part
from emco_common.appcontext.decoding import decode_context as decode
from emco_common.appcontext.encoding import encode_context as encode

__all__ = ["context_of", "decode", "encode", "keys_of_part"]
