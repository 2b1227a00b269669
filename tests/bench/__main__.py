"""`python -m tests.bench`: every figure beside its reference, in one table.

Run it on an idle machine: each ratio is of two figures measured in turns, but on a busy machine the ratios still vary.
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import datetime
from pathlib import Path

from tests.bench import bulk, commands, keys, peer, start, tenant
from tests.bench.table import HEAD, Result, as_json, measure

ROWS = (*start.ROWS, *keys.ROWS, *commands.ROWS, *bulk.ROWS, *tenant.ROWS, *peer.ROWS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure runtui beside its peers.")
    parser.add_argument("--only", default="", metavar="NAME", help="only rows with this in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--runs", type=int, metavar="N", default=tenant.DEFAULT_RUNS, help="runs of the large tenant")
    options = parser.parse_args()
    tenant.Tenant.runs = options.runs
    today, machine = datetime.now().astimezone().date(), f"{os.cpu_count()} cores, {platform.system()}"
    print(f"{today}, {machine}, Python {platform.python_version()}\n")
    print(*HEAD, sep="\n", flush=True)
    results: list[Result] = []
    for row in ROWS:
        if options.only.casefold() in row.name.casefold():
            results.append(measure(row))
            print(results[-1].as_markdown(), flush=True)
    if options.json:
        options.json.write_text(as_json(results))


if __name__ == "__main__":
    main()
