"""`testdata`: small genotype files to try things with."""

import argparse
import asyncio
from pathlib import Path

from app.commands.journey import size_text
from app.genotypes.example import ExamplePaths
from app.genotypes.testdata import write_test_files
from app.sandbox.reference import ExampleData, find_example
from app.settings import Settings


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "testdata", help="write test files", description=testdata.__doc__
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the files go")
    parser.set_defaults(run=testdata)


def example_paths(example: ExampleData) -> ExamplePaths:
    """Name the example's files as the genotype tools want them."""
    return ExamplePaths(
        reference=example.reference, unphased=example.unphased, genetic_map=example.genetic_map
    )


async def testdata(args: argparse.Namespace, settings: Settings) -> int:
    """Write test_tiny_100var, test_small_1000var and test_medium_10kvar.vcf.gz with their indexes.

    They are real genotypes of Debian's shapeit4-example where it can be had, else simulated ones, marked so.
    """
    example = await asyncio.to_thread(find_example, settings.data_dir / "example")
    paths = None if example is None else example_paths(example)
    files = await asyncio.to_thread(write_test_files, args.directory, paths)
    for item in files:
        print(
            f"{item.path}  {size_text(item.size_bytes)}  {'simulated' if item.simulated else 'real genotypes (1000 Genomes)'}"
        )
    return 0
