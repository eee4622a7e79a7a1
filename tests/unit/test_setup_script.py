"""Setting up on machines that lack something, acted out by stand-ins for Python on an otherwise empty path."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "dirname", "uname", "sha256sum", "rm", "mkdir", "cp", "chmod")

# Answers as Python does to what the script asks; `-m venv` leaves a copy of itself in the environment.
PYTHON = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$LOG"
case "$*" in
*version_info*'<'*) exit {too_old} ;;
*version_info*) echo 3.12 ;;
*ensurepip*) exit {lacks_venv} ;;
*'-m venv'*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*torch-cpu.txt*) echo '{torch_says}'; exit {no_cpu_torch} ;;
esac
"""


class Machine:
    """A checkout and a path that holds a Python of our making, and little else."""

    def __init__(self, folder: Path, **traits: int | str) -> None:
        """Lay out the checkout; `traits` are what this machine's Python lacks or says."""
        self.checkout, self.bin, self.log = folder / "checkout", folder / "bin", folder / "log"
        (self.checkout / "deploy/setup").mkdir(parents=True)
        (self.checkout / "requirements").mkdir()
        self.bin.mkdir()
        shutil.copy(ROOT / "deploy/setup/setup.sh", self.checkout / "deploy/setup")
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        for lock in ("torch-cpu.txt", "torch.txt", "runtime.txt", "development.txt"):
            (self.checkout / "requirements" / lock).write_text("")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        python = self.bin / "python3"
        python.write_text(
            PYTHON.format(**{"too_old": 0, "lacks_venv": 0, "no_cpu_torch": 0, "torch_says": ""} | traits)
        )
        python.chmod(0o755)

    def set_up(self) -> subprocess.CompletedProcess[str]:
        """Run the script as `make setup` does."""
        return subprocess.run(  # noqa: S603 - the script under test
            [str(self.checkout / "deploy/setup/setup.sh")],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "LOG": str(self.log)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def installed(self) -> list[str]:
        """The lock files handed to pip so far, in order."""
        calls = self.log.read_text().splitlines()
        return [call.rpartition("/")[2] for call in calls if " install " in call and ".txt" in call]


def test_everything_locked_is_installed_torch_first(tmp_path: Path) -> None:
    """Torch stands before what would otherwise bring another build of it."""
    machine = Machine(tmp_path)

    done = machine.set_up()

    assert done.returncode == 0, done.stderr
    assert machine.installed == ["torch-cpu.txt", "runtime.txt", "development.txt"]


def test_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    """Nothing is installed when locks, project and place are what they were."""
    machine = Machine(tmp_path)
    machine.set_up()
    before = machine.installed

    done = machine.set_up()

    assert done.stderr == ""
    assert machine.installed == before


def test_a_changed_lock_is_installed(tmp_path: Path) -> None:
    """The environment follows the locks."""
    machine = Machine(tmp_path)
    machine.set_up()
    (machine.checkout / "requirements/runtime.txt").write_text("changed==1\n")

    machine.set_up()

    assert machine.installed.count("runtime.txt") == 2


def test_a_python_without_venv_is_told_which_package_to_install(tmp_path: Path) -> None:
    """Debian and Ubuntu ship venv apart."""
    machine = Machine(tmp_path, lacks_venv=1)

    done = machine.set_up()

    assert done.returncode == 1
    assert "apt install python3-venv (or python3.12-venv)" in done.stderr


def test_a_machine_without_a_new_enough_python_is_told_so(tmp_path: Path) -> None:
    """The version needed is named, and the package that has it."""
    machine = Machine(tmp_path, too_old=1)

    done = machine.set_up()

    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_without_a_cpu_build_the_public_torch_is_taken_in_plain_words(tmp_path: Path) -> None:
    """Gigabytes are announced before they come."""
    machine = Machine(tmp_path, no_cpu_torch=1, torch_says="ERROR: No matching distribution found for torch")

    done = machine.set_up()

    assert done.returncode == 0
    assert machine.installed == ["torch-cpu.txt", "torch.txt", "runtime.txt", "development.txt"]
    assert "about 3 GB" in done.stderr


@pytest.mark.parametrize("trouble", ["Read timed out", "No space left on device"])
def test_other_trouble_with_torch_stops_the_set_up(tmp_path: Path, trouble: str) -> None:
    """A failing network or a full disk is no reason to fetch more."""
    machine = Machine(tmp_path, no_cpu_torch=1, torch_says=trouble)

    done = machine.set_up()

    assert done.returncode == 1
    assert trouble in done.stderr
    assert machine.installed == ["torch-cpu.txt"]
