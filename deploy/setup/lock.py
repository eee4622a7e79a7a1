"""Lock the dependencies by hash: `make lock`.

Four files come out, none of which names an address:

- `runtime.txt`: what `pyproject.toml` asks for, and what those ask for, without torch
- `development.txt`: what checks need beyond that
- `torch-cpu.txt`: torch's CPU build, where the platform's pip offers one
- `torch.txt`: torch's public build; on Linux that is the CUDA build, with all it needs
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "requirements"
WITH_TORCH = re.compile(r"^(torch|triton|nvidia-.+|cuda-.+)$")
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(==\S+)(?: ; (.+?))?( \\\n.*?)(?=^[A-Za-z0-9]|\Z)", re.MULTILINE | re.DOTALL)
PYTHONS = ("3.11.2", "3.11.9", "3.12.3", "3.13.5", "3.14.2")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))


def main() -> None:
    """Write all four files anew, keeping hashes of CPU builds that cannot be seen from here."""
    entries = _resolve("pyproject.toml", "requirements/torch.in")
    _write("torch.txt", [text for name, text in entries if WITH_TORCH.match(name)])
    _write("runtime.txt", [text for name, text in entries if not WITH_TORCH.match(name)])
    development = _resolve("requirements/development.in", constraint="requirements/runtime.txt")
    installed_before = {name for name, _ in entries}
    _write("development.txt", [text for name, text in development if name not in installed_before])
    _lock_cpu_build()


def _resolve(*sources: str, constraint: str | None = None) -> list[tuple[str, str]]:
    """Each package's name and its lines: pin and hashes, for every supported platform."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *sources, "--universal", "--python-version=3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    if constraint:
        command += [f"--constraint={constraint}"]
    locked = subprocess.run([*command, "--quiet"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own words
    return [
        (name, name + pin + marker + hashes)
        for name, pin, asked, hashes in ENTRY.findall(locked)
        if (marker := _relevant(asked)) is not None
    ]


def _relevant(marker: str) -> str | None:
    """The marker as it has to be written: empty when always true here, None when never."""
    answers = {
        not marker or Marker(marker).evaluate(_environment(python, *platform))
        for python, platform in product(PYTHONS, PLATFORMS)
    }
    if answers == {True, False}:
        return f" ; {marker}"
    return "" if answers == {True} else None


def _environment(python: str, system: str, machine: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": machine,
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": system,
        "platform_system": system.capitalize(),
    }


def _lock_cpu_build() -> None:
    """Add the hash of the CPU wheel that this machine's pip finds to those known already."""
    pin = (FOLDER / "torch.in").read_text().split("\n")[1] + "+cpu"
    path = FOLDER / "torch-cpu.txt"
    known = path.read_text() if path.exists() and path.read_text().startswith(f"{pin} ") else ""
    hashes = {*re.findall(r"sha256:[0-9a-f]{64}", known), *_offered_hashes(pin)}
    _write(path.name, [" \\\n".join([pin, *(f"    --hash={digest}" for digest in sorted(hashes))]) + "\n"])


def _offered_hashes(pin: str) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", pin]
        subprocess.run(command, check=False)  # noqa: S603 - our own words
        return {f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in Path(folder).glob("*.whl")}


def _write(name: str, entries: list[str]) -> None:
    text = "".join(entries)
    if "://" in text:
        sys.exit(f"requirements/{name} would name an address; nothing was written.")
    (FOLDER / name).write_text(text)
    print(f"requirements/{name}: {len(entries)} pins")  # noqa: T201 - a recipe speaks to a person


if __name__ == "__main__":
    main()
