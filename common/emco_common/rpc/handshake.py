"""Why a connection does not come about, as far as TLS is the reason: gRPC tells its callers little of that."""

from __future__ import annotations

import asyncio
import ssl

_NAME_MISMATCH = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

_ALIKE = "grpc_tls (emcoctl: statusTls) has to be alike on both sides"


async def trouble(host: str, port: int, *, context: ssl.SSLContext | None, name: str = "", ours: str = "") -> str:
    """A sentence about ``host:port``, or ``""`` where TLS is not what is wrong, as when nothing listens.

    ``context`` is how we connect, ``None`` for plain text; ``name`` is expected of the other side; ``ours`` says which
    certificate we show, ``""`` for none. The caller gives it a deadline.
    """
    if context is None:
        return await _of_plain(host, port)
    address = f"{host}:{port}"
    try:
        reader, writer = await asyncio.open_connection(
            _bare(host), port, ssl=context, server_hostname=name or _bare(host)
        )
    except ssl.SSLCertVerificationError as error:
        what = error.verify_message.rstrip(".")
        if error.verify_code in _NAME_MISMATCH:
            return f"the certificate of {address} is for another name: {what}"
        return f"the certificate of {address} is not trusted: {what}"
    except ssl.SSLEOFError:
        return ""  # it has gone away
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            return _not_taken(address, ours)
        return f"{address} answers, but does not speak TLS ({_words(error)}), and we do: {_ALIKE}"
    except OSError:
        return ""
    try:
        # With TLS 1.3 the other side looks at our certificate after the handshake is over for us.
        heard = await reader.read(1)
    except ssl.SSLError:
        return _not_taken(address, ours)
    except OSError:
        heard = b""
    finally:
        writer.close()
    return "" if heard else _not_taken(address, ours)


async def _of_plain(host: str, port: int) -> str:
    """Whether the other side speaks TLS; whose certificate it has does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        _, writer = await asyncio.open_connection(_bare(host), port, ssl=context)
    except ssl.SSLError as error:
        if "ALERT" not in (error.reason or ""):
            return ""
    except OSError:
        return ""
    else:
        writer.close()
    return f"{host}:{port} speaks TLS, and we do not: {_ALIKE}"


def _not_taken(address: str, ours: str) -> str:
    if ours:
        return f"{address} does not take our certificate, {ours}: by its authorities, or since it is over"
    return f"{address} wants a certificate of ours, and we show none: {_ALIKE}"


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "no handshake").replace("_", " ").lower()
