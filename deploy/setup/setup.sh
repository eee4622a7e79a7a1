#!/bin/sh
# Build .venv from the locked dependencies. Needs Python 3.11 or newer and pip's package index, not root.
# A second run finds nothing to do. TORCH=public takes torch's public build (CUDA on Linux) at once.
set -eu
cd "$(dirname "$0")/../.."

VENV=.venv
STAMP=$VENV/setup-stamp
TORCH=${TORCH:-auto}

say() { printf '%s\n' "setup: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# What the environment was built from, and where: a moved checkout is set up again.
wanted() { { pwd && echo "$TORCH" && cat requirements/*.txt pyproject.toml deploy/setup/setup.sh; } | digest; }

is_ready() {
    [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(wanted)" ] && "$VENV/bin/python" -c '' 2>/dev/null
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14; do
        if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed. On Debian and Ubuntu: apt install python3 python3-venv"
}

make_environment() {
    if "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && is_new_enough "$VENV/bin/python"; then
        return
    fi
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python $version lacks venv. On Debian and Ubuntu: apt install python3-venv (or python$version-venv)"
    say "1/4 environment: $VENV with Python $version"
    "$python" -m venv --clear "$VENV"
}

# Compiling all 16,000 modules would take half of the time; Python compiles those in use when they are first used.
install() {
    "$VENV/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-compile \
        --no-deps --require-hashes --only-binary :all: "$@"
}

# What pip warns of is for whoever reads a failure; a person who waits needs the four lines.
install_or_fail() {
    what=$1
    shift
    log=$(install "$@" 2>&1) || fail "$what could not be installed:
$log"
}

# On Linux the CPU build is another file than the public one, and pip offers it only where it was told to.
install_torch() {
    if [ "$TORCH" = auto ] && [ "$(uname -s)" = Linux ]; then
        say "2/4 torch, CPU build (190 MB)"
        if log=$(install -r requirements/torch-cpu.txt 2>&1); then
            return
        fi
        case $log in
        *"No matching distribution"* | *"DO NOT MATCH THE HASHES"*) ;;
        *) fail "torch could not be installed:
$log" ;;
        esac
        say "2/4 pip is offered no CPU build of torch here: taking the public one, which brings CUDA (about 3 GB)."
        say "    To avoid that, tell pip where the CPU builds are (pip config, extra-index-url or find-links)."
    else
        say "2/4 torch, public build"
    fi
    install_or_fail torch -r requirements/torch.txt
}

# Read to its end before anything runs: a checkout that changes meanwhile changes nothing here.
main() {
    if is_ready; then
        return
    fi
    rm -f "$STAMP"
    make_environment
    install_torch
    say "3/4 locked dependencies"
    install_or_fail "what Sitewise needs" -r requirements/runtime.txt
    install_or_fail "what its checks need" -r requirements/development.txt
    say "4/4 sitewise itself"
    "$VENV/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation --editable .
    wanted >"$STAMP"
    say "done: $VENV/bin/sitewise"
}

main
exit
