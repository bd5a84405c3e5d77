"""No pipeline at all: says how it was started, as one line of JSON, and exits with 3."""

import json
import os
import sys

print(
    json.dumps(
        {
            "arguments": sys.argv[1:],
            "folder": os.getcwd(),
            "input": sys.stdin.read(),
            "path": sys.path[0],
            "python": sys.prefix,
        }
    )
)
sys.exit(3)
