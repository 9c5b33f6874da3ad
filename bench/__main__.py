"""`python -m bench [NAME…] [ARGUMENT…]`: the benchmarks with peers one after another, each as a process of its own.

Without names all run. Arguments, as `--rounds 9`, go to each of them. The status is 1 when a bar is missed.
"""

import importlib.util
import subprocess
import sys

BENCHES = ("start", "ingest", "relay", "download", "api", "structure", "inflight")


def main(arguments: list[str]) -> int:
    """Run what is named; give the exit status."""
    names: list[str] = []
    while arguments and not arguments[0].startswith("-"):
        names.append(arguments.pop(0))
    unknown = [name for name in names if name not in BENCHES]
    if unknown or {"-h", "--help"} & set(arguments):
        print(
            f"{__doc__}\nNAMEs: {', '.join(BENCHES)}. One's own arguments: python -m bench.NAME --help"
        )
        return 2 if unknown else 0
    missed = []
    for name in names or BENCHES:
        if importlib.util.find_spec(f"bench.{name}") is None:
            continue
        if subprocess.run(
            [sys.executable, "-m", f"bench.{name}", *arguments], check=False
        ).returncode:
            missed.append(name)
        print(flush=True)
    print(
        f"missed, or broke off: {', '.join(missed)}"
        if missed
        else "all bars hold; figures in build/bench"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
