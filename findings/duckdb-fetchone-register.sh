#!/usr/bin/env bash
# duckdb 2.0.1: after fetchone() of a result with one row, register() is refused; the same after fetchall() is not.
#
# `fetchone()` takes the one row of a count or of a look-up, and the usual guess is that the connection is free then, as
# it is with sqlite3, and as a second execute() is. The result counts as unfinished until a fetch has returned nothing, and
# register() of a table raises ResourceInUseException; fetchall() reads to the end.
#
# Source: https://duckdb.org/docs/stable/clients/python/dbapi, and the error's own text
# Seen:
#   fetchone, then execute: fine
#   fetchone, then register: ResourceInUseException
#   fetchall, then register: fine
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 >&2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee seen.txt
import duckdb
import pyarrow

table = pyarrow.table({"x": [1, 2]})


def tried(first: str, then: str) -> str:
    connection = duckdb.connect()
    getattr(connection.execute("SELECT 1"), first)()
    try:
        connection.execute("SELECT 2") if then == "execute" else connection.register("incoming", table)
    except duckdb.Error as error:
        return type(error).__name__
    return "fine"


for first, then in (("fetchone", "execute"), ("fetchone", "register"), ("fetchall", "register")):
    print(f"{first}, then {then}: {tried(first, then)}")
PYTHON
diff - seen.txt <<'SEEN' && echo "as stated"
fetchone, then execute: fine
fetchone, then register: ResourceInUseException
fetchall, then register: fine
SEEN
