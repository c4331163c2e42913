# Sourced by scripts/awaken and scripts/test (bash): makes `.venv` in the repository root what
# pyproject.toml and scripts/constraints.txt say, and does nothing at all once it is.
#
# A stamp in .venv holds the checksum of both files and the place of the repository; where it matches,
# set-up is over.  All else can be cut off and repeated at any point: pip keeps what is whole, and what
# was cut in the middle is recognised and installed again.  Where packages come from is pip's own
# configuration; no index is named here.  All words go to stderr: stdout belongs to what is started.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
pins=$root/scripts/constraints.txt

say() { printf 'batos: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

stamp() { printf '%s %s\n' "$(cat "$root/pyproject.toml" "$pins" | cksum)" "$root"; }

# is_set_up PART: the stamp of "run" or "test" says that nothing changed since.
is_set_up() { [ -x "$venv/bin/python" ] && [ "$(cat "$venv/batos-$1.stamp" 2>/dev/null)" = "$(stamp)" ]; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null; }

# find_python: sets `python` to the Python that .venv is made with, and checks that it will do.
find_python() {
    local other="name another one: PYTHON=/path/to/python3 $0" version
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null 2>&1 ||
        fail "there is no $python here; install Python 3.11 or newer, or $other"
    version=$(version_of "$python") || fail "$python does not start; $other"
    case $version in
        2.* | 3.[0-9] | 3.10) fail "$python is Python $version, batos needs 3.11 or newer; $other" ;;
    esac
    "$python" -c 'import ensurepip, venv' 2>/dev/null </dev/null ||
        fail "$python cannot make environments; install its venv package (Debian: python3-venv), or $other"
    if [ -n "${PYTHON:-}" ] && [ -x "$venv/bin/python" ] &&
        [ "$(version_of "$venv/bin/python")" != "$version" ]
    then
        fail "$venv is not of Python $version as $PYTHON is; to change it, rm -r $venv and this command again"
    fi
}

pip_install() {
    # PIP_USER: a user's `pip install --user` default cannot work inside an environment.
    # On a terminal pip shows its progress, elsewhere only what goes wrong.
    PIP_USER=no PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install --no-input \
        $([ -t 2 ] || echo -qq) --constraint "$pins" "$@" </dev/null >&2 ||
        fail "pip could not install what batos needs (see above); what is there is kept: run $0 again"
}

# wanted TABLE: the requirements of pyproject.toml, "dependencies" or an optional group.
wanted() {
    "$venv/bin/python" - "$root/pyproject.toml" "$1" <<'PYTHON'
import sys, tomllib

project = tomllib.load(open(sys.argv[1], "rb"))["project"]
print(*(project.get(sys.argv[2]) or project["optional-dependencies"][sys.argv[2]]))
PYTHON
}

make_venv() {
    local info
    # pip writes INSTALLER and RECORD last: a package without them was cut off, and pip would call it done.
    for info in "$venv"/lib/python*/site-packages/*.dist-info; do
        [ -s "$info/INSTALLER" ] && [ -s "$info/RECORD" ] || rm -rf "$info"
    done
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 </dev/null; then
        say "making the virtual environment $venv with $(command -v "$python")"
        "$python" -m venv --clear "$venv" </dev/null >&2 || fail "$python could not make $venv"
    fi
}

install_run() {
    if ! ls "$venv"/lib/python*/site-packages/torch-*.dist-info >/dev/null 2>&1; then
        say "first set-up: about 420 MB to download, 1.7 GB on disk, half of it torch. Where pip finds"
        say "only the ordinary Linux build of torch, with CUDA, it is several GB; a machine without an NVIDIA"
        say "card is better off with the CPU build: stop here (Ctrl-C loses nothing), tell pip in its own"
        say "configuration where the CPU build is (PIP_EXTRA_INDEX_URL; see pytorch's own page), and again: $0"
    fi
    say "1 of 3: torch"
    pip_install setuptools "$(grep '^torch==' "$pins")"
    say "2 of 3: what else batos runs on"
    pip_install $(wanted dependencies) # split at white space: the requirements hold none
    say "3 of 3: batos itself"
    pip_install --no-build-isolation --no-deps --editable "$root"
}

install_test() {
    say "what the tests need: about 3 MB to download"
    pip_install $(wanted test)
    # RestrictedPython's own tests stand in its source distribution only; without it their story is skipped.
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip download --no-input -qq --constraint "$pins" \
        --no-deps --no-build-isolation --no-binary RestrictedPython --dest "$venv/sources" RestrictedPython \
        </dev/null >&2 ||
        say "the source of RestrictedPython could not be had; its own tests will be skipped"
}

# set_up PART ...: leaves `.venv` ready for each PART ("run", then "test"); at once where it is already.
set_up() {
    local part ready=yes
    for part; do is_set_up "$part" || ready=no; done
    if [ -n "${PYTHON:-}" ] || [ $ready = no ]; then find_python; fi
    [ $ready = no ] || return 0
    # Two set-ups at once take turns.  The lock is on the pins themselves, taken through Python because
    # flock(1) is not everywhere, held by this shell's descriptor and gone with it however it ends.
    exec 9<>"$pins"
    trap 'say "interrupted; $0 goes on from here"; exit 130' INT
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null </dev/null || {
        say "another set-up of $venv is running; waiting for it"
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' </dev/null
    }
    for part; do
        is_set_up "$part" && continue
        [ "$part" != run ] || make_venv
        "install_$part"
        stamp >"$venv/batos-$part.stamp"
    done
    exec 9>&-
    trap - INT
    say "set up"
}
