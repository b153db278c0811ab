"""What the chart asks of EMCO in a cluster: ``check`` (``helm test``) and ``register``. Runs in EMCO's image.

Services are named as ``name=host:HTTP port[/gRPC port]``.
"""

import http.client
import json
import socket
import sys
import time
import urllib.error
import urllib.request

PATIENCE = 5.0
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, method: str = "GET", body: object = None) -> tuple[int, str]:
    """Status and text; 0 where nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with OPENER.open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


def troubles(services: list[str]) -> list[str]:
    """What is wrong, a line each."""
    found = []
    for service in services:
        name, _, place = service.partition("=")
        at, _, grpc = place.partition("/")
        status, text = ask(f"http://{at}/readyz")
        if status != 200:
            found.append(f"{name} is not ready: {status or 'no answer'} {text}")
        if grpc:
            try:
                socket.create_connection((at.partition(":")[0], int(grpc)), PATIENCE).close()
            except OSError as error:
                found.append(f"{name} takes no calls on port {grpc}: {error}")
        if name == "ingress":
            status, text = ask(f"http://{at}/v2/projects")
            if status not in (200, 401):  # 401: it asks who is there
                found.append(f"projects cannot be read through the ingress: {status or 'no answer'} {text}")
    return found


def register(orchestrator: str) -> list[str]:
    """Says where rsync is; an rsync that somebody registered stays as it is."""
    at = f"{orchestrator}/v2/controllers"
    status, text = ask(f"{at}/rsync")
    if status == 404:
        spec = {"host": "rsync", "port": 9031}
        status, text = ask(at, "POST", {"metadata": {"name": "rsync"}, "spec": spec})
    return [] if status in (200, 201, 409) else [f"rsync cannot be registered: {status or 'no answer'} {text}"]


def main(task: str, seconds: str, *arguments: str) -> int:
    """Asks until there is nothing wrong any more, ``seconds`` at most."""
    deadline = time.monotonic() + float(seconds)
    while True:
        found = register(*arguments) if task == "register" else troubles(list(arguments))
        if not found or time.monotonic() > deadline:
            break
        time.sleep(2)
    print("\n".join(found) or f"{task}: all is well")
    return 1 if found else 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    ask("http://127.0.0.1:15020/quitquitquit", "POST")  # a sidecar of Istio does not end by itself
    sys.exit(code)
