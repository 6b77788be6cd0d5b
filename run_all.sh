#!/usr/bin/env bash
# Set-up in one command: makes .venv, installs what pyproject.toml declares under the pins of constraints.txt, and hands
# over to repro.pipeline, which reads the options. For bash 3.2 and POSIX tools, so that it also runs on an old macOS.
set -eu -o pipefail
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP # what they name would stand before this repository's own
export PYTHONNOUSERSITE=1
CDPATH='' cd -- "$(dirname -- "$0")"

fail() {
    echo "run_all: $1" >&2
    exit 1
}

# Sets python to the first of the given interpreters that is new enough.
find_python() {
    for python in "$@"; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && return
    done
    python=''
    return 1
}

make_venv() {
    find_python $pythons || fail "no Python 3.11 or newer was found; install one, or use --conda."
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "the venv module of $python is missing; install the package python3-venv (Debian/Ubuntu: apt-get install python3-venv)."
    "$python" -m venv --clear .venv || fail "$python could not make .venv."
}

make_conda() {
    for tool in mamba micromamba conda; do
        command -v "$tool" >/dev/null && break
        tool=''
    done
    [ -n "$tool" ] || fail "--conda needs mamba, micromamba or conda on the PATH."
    rm -rf .conda
    export CONDA_ALWAYS_YES=true MAMBA_ALWAYS_YES=true
    if [ "$tool" = micromamba ]; then set -- create; else set -- env create; fi
    "$tool" "$@" -p "$PWD/.conda" -f environment.yml || fail "$tool could not make the environment."
    echo '*' >.conda/.gitignore
}

# Shows what pip says as a dot per package and its errors whole; the file holds everything.
dots() {
    while IFS= read -r line; do
        printf '%s\n' "$line" >&3
        case $line in
            Collecting*) printf . ;;
            Installing*) printf ' installing ' ;;
            ERROR*) printf '\n%s' "$line" ;;
        esac
    done 3>"$1"
    echo
}

# The stamp names what was installed and where; it is written last, so that an interrupted set-up is taken up again.
set_up() {
    stamp=$({ echo "$PWD" && cat pyproject.toml constraints.txt environment.yml; } | cksum)
    [ ! -x "$home/bin/python" ] || [ "$(cat "$home/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    echo "Set-up takes 2 to 4 minutes, once, and downloads 0.5 GB with a CPU build of torch, 3 GB with the default build" \
        "on Linux; the notebooks then take five to nine minutes with the shipped numbers, a few with tiny runs (--preset" \
        "smoke), hours on two cores with all policies trained anew (--fresh)."
    rm -f "$home/stamp"
    find_python "$home/bin/python" && "$python" -m pip --version >/dev/null 2>&1 || "make_${home#.}"
    "$home/bin/python" -m pip install -c constraints.txt -e '.[test]' 2>&1 | dots "$home/pip.log" ||
        fail "the installation failed; $home/pip.log says why. The next start takes it up again."
    "$home/bin/python" -c 'import rdkit.Chem.Draw' >>"$home/pip.log" 2>&1 || # a bare Linux lacks what it draws with
        fail "rdkit cannot be imported; $home/pip.log says why. If libXrender, libXext or libX11 is missing, install it (Debian/Ubuntu: apt-get install libxrender1 libxext6) and start again."
    echo "$stamp" >"$home/stamp"
}

pythons="python3.11 python3.12 python3.13 python3.14 python3 python" # the tested version comes first
home=.venv answer=''
for option in "$@"; do
    case $option in
        --conda) home=.conda ;;
        --help | -h | --list) answer=yes ;;
    esac
done

# Questions are answered, and bad input is refused, before anything is installed.
if find_python "$home/bin/python" $pythons; then
    [ -z "$answer" ] || exec "$python" -m repro.pipeline "$@"
    "$python" -m repro.pipeline --check "$@"
elif [ -n "$answer" ] || [ "$home" = .venv ]; then
    fail "no Python 3.11 or newer was found; install one, or use --conda."
fi

set_up
exec "$home/bin/python" -m repro.pipeline "$@"
