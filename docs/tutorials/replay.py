#!/usr/bin/env python3
"""Runs the commands of a tutorial, so that no page promises what does not work.

    docs/tutorials/replay.py PAGE.md --scvi build/release/bin/scvi --data ../shared/data [--update]

The blocks marked `sh` of a page run one after the other, by bash, in an empty folder; the first that fails ends it. A
block marked `text` right behind one is its output (progress left out). With --update these blocks are written anew,
and so are the pictures that the page shows; without, pictures must have been made and outputs need not be the same,
because numbers differ from machine to machine.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\(pictures/([^)]+)\)")
PROGRESS = re.compile(r"^[\w -]+: [\d,]+/[\d,]+ \w+ \(.*\)$")


def run(commands, folder, environment):
    """Standard output and errors of a block as a reader sees them."""
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = [line.rstrip() for line in done.stdout.splitlines() if not PROGRESS.match(line)]
    output = "\n".join(lines).replace(environment["DATA"], "$DATA") + "\n"
    if done.returncode != 0:
        sys.exit(f"this block failed with status {done.returncode}:\n{commands}\n{output}")
    return output


def replay(page, folder, environment, picture_prefix):
    """The page with the outputs of its blocks."""
    text = page.read_text()
    result, end, output = [], 0, None
    for block in BLOCK.finditer(text):
        between = text[end:block.start()]
        result.append(between)
        kind, body = block.groups()
        if kind == "sh":
            output = run(body, folder, environment)
            result.append(block.group(0))
        elif output is not None and not between.strip():
            result.append(f"```text\n{output}```\n")
        else:
            result.append(block.group(0))
        end = block.end()
    for name in PICTURE.findall(text):
        made = folder / name.removeprefix(picture_prefix)
        if not made.exists():
            sys.exit(f"{page} shows pictures/{name}, but no command made {made.name}")
    return "".join(result) + text[end:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--scvi", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    environment = {**os.environ, "DATA": str(options.data.resolve()),
                   "PATH": f"{options.scvi.resolve().parent}:{os.environ['PATH']}"}
    prefix = options.page.stem + "-"
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        text = replay(options.page, folder, environment, prefix)
        if not options.update:
            return
        options.page.write_text(text)
        for name in PICTURE.findall(text):
            shutil.copy(folder / name.removeprefix(prefix), options.page.parent / "pictures" / name)


if __name__ == "__main__":
    main()
