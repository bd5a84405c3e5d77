"""Whether a NWB file is sound, for those who say so: ``python sound_nwb.py BEFORE AFTER``.

Prints one JSON line: ``errors`` of pynwb.validate, ``worse``: what nwbinspector finds in AFTER and not in BEFORE, above
a suggestion, ``tables``: the ledger's, as pynwb reads them, and ``generated``.
"""

import json
import sys
import warnings
from typing import Any

import pynwb
from nwbinspector import Importance, inspect_nwbfile

warnings.simplefilter("ignore")


def found(path: str) -> set[tuple[str, str, str]]:
    return {
        (message.check_function_name, str(message.object_name), message.message)
        for message in inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.BEST_PRACTICE_VIOLATION)
    }


def main() -> None:
    before, after = sys.argv[1:]
    tables: dict[str, Any] = {}
    with pynwb.NWBHDF5IO(after, "r") as io:
        file = io.read()
        for place in (file.intervals, file.events, file.scratch):
            for name, table in (place or {}).items():
                tables[name] = table.to_dataframe().to_dict(orient="records")
        generated = [list(map(str, each)) for each in file.was_generated_by[:]]
    errors = [str(error) for error in pynwb.validate(path=after)]
    worse = sorted(found(after) - found(before))
    print(json.dumps({"errors": errors, "worse": worse, "tables": tables, "generated": generated}, default=str))


if __name__ == "__main__":
    main()
