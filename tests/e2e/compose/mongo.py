"""What MongoDB's image does, with a server that speaks its protocol: makes the user once, then asks for passwords."""

import os
import subprocess
import sys
import time
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

DATA = Path("/data/db")
MADE = DATA / "users-are-made"


def command(host: str, *more: str) -> list[str]:
    return ["secantusd-py", "--host", host, "--storage-path", str(DATA / "wt"), "--standalone", *more]


def make_user() -> None:
    password = Path("/run/secrets/mongo-password").read_text().strip()
    server = subprocess.Popen(command("127.0.0.1"))
    with MongoClient("mongodb://127.0.0.1:27017", serverSelectionTimeoutMS=500) as client:
        for _ in range(120):
            try:
                client.admin.command("ping")
                break
            except PyMongoError:
                time.sleep(0.25)
        client["emco"].command("createUser", "emco", pwd=password, roles=[{"role": "dbOwner", "db": "emco"}])
    server.terminate()
    server.wait()
    MADE.touch()


def ping() -> None:
    with MongoClient("mongodb://mongo:27017", serverSelectionTimeoutMS=2000) as client:
        client.admin.command("ping")


if __name__ == "__main__":
    if sys.argv[1:] == ["ping"]:
        ping()
    else:
        if not MADE.exists():
            make_user()
        os.execvp("secantusd-py", command("0.0.0.0", "--auth", "--cache-size", "128M"))
