#!/usr/bin/env bash
# Set-up in one command: makes .venv, installs what pyproject.toml declares under the pins of constraints.txt, and runs
# the notebooks in order. Written for bash 3.2 and POSIX tools, so that it also runs on an old macOS.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")"

first_line="Set-up takes 2 to 4 minutes and downloads 0.5 GB with a CPU build of torch, 3 GB with the default build on \
Linux; the notebooks then take a few minutes with the shipped numbers, 80 minutes on two cores with all policies \
trained anew (--fresh); --preset smoke takes five minutes, set-up included."

show_help() {
    cat <<'END'
usage: bash run_all.sh [options]

  --preset NAME    smoke, laptop (default) or paper
  --only NN        only the notebooks whose names start so: 02, or 01,02
  --jobs N         processes at a time (default: all cores)
  -p NAME VALUE    a parameter for every notebook that has it; may be repeated
  --results DIR    where results go (default: results/PRESET, or results/own with -p)
  --fresh          ignore finished runs
  --train-priors   ignore the shipped priors
  --lab            open JupyterLab instead of running the notebooks
  --test           run the tests instead
  --conda          set up from environment.yml through mamba, micromamba or conda
  --list           list the notebooks with their parameters and stop
  --help           show this and stop
END
}

refuse() {
    echo "run_all: $1" >&2
    exit 2
}

fail() {
    echo "run_all: $1" >&2
    exit 1
}

# Reads what has to be known before there is a Python; repro.pipeline reads the same options again.
mode=notebooks conda='' jobs=''
read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) show_help && exit 0 ;;
            --lab | --test | --list) mode=${1#--} ;;
            --conda) conda=yes ;;
            --fresh | --train-priors | --preset=* | --only=* | --results=*) ;;
            --jobs=*) jobs=${1#--jobs=} ;;
            --preset | --only | --results | --jobs)
                [ $# -ge 2 ] || refuse "$1 needs a value."
                [ "$1" != --jobs ] || jobs=$2
                shift ;;
            -p)
                [ $# -ge 3 ] || refuse "-p needs a name and a value."
                shift 2 ;;
            *)
                refuse "there is no option '$1'; the options are --preset, --only, --jobs, -p, --results, --fresh, \
--train-priors, --lab, --test, --conda, --list and --help." ;;
        esac
        shift
    done
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
    # The tested version comes first.
    set -- python3.11 python3.12 python3.13 python3.14 python3 python
    find_python "$@" || fail "no Python 3.11 or newer was found; install one, or use --conda."
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

# The stamp names what was installed and where; it is written last, so that an interrupted set-up is taken up again.
set_up() {
    stamp=$({ echo "$PWD" && cat pyproject.toml constraints.txt environment.yml; } | cksum)
    [ ! -x "$home/bin/python" ] || [ "$(cat "$home/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    rm -f "$home/stamp"
    find_python "$home/bin/python" && "$python" -m pip --version >/dev/null 2>&1 || "make_${home#.}"
    "$home/bin/python" -m pip install -c constraints.txt -e '.[test]' ||
        fail "the installation failed; the lines above say why. The next start takes it up again."
    echo "$stamp" >"$home/stamp"
}

read_options "$@"
case $jobs in
    *[!0-9]* | 0) refuse "--jobs must be a positive whole number, not '$jobs'." ;;
esac
home=.venv
[ -z "$conda" ] || home=.conda

# Bad input is refused before anything is installed, where there is a Python to check it.
find_python "$home/bin/python" python3.11 python3.12 python3.13 python3.14 python3 python || true
if [ "$mode" = list ]; then
    [ -n "$python" ] || fail "no Python 3.11 or newer was found."
    exec "$python" -m repro.pipeline "$@"
elif [ "$mode" = notebooks ] && [ -n "$python" ]; then
    "$python" -m repro.pipeline --check "$@"
fi

echo "$first_line"
set_up
python=$home/bin/python
case $mode in
    test)
        export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
        exec "$python" -m pytest -q -n "${jobs:-auto}" --maxprocesses "${jobs:-4}" --dist loadgroup ;;
    lab)
        # The kernel named python3 is this environment's, whatever else the user has.
        export JUPYTER_PATH="$PWD/$home/share/jupyter${JUPYTER_PATH:+:$JUPYTER_PATH}"
        # In a container everybody is root, which Jupyter refuses unless it is told.
        if [ "$(id -u)" -eq 0 ]; then set -- --allow-root; else set --; fi
        exec "$python" -m jupyterlab "$@" ;;
    *) exec "$python" -m repro.pipeline "$@" ;;
esac
