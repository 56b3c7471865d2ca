# Sourced by deploy/local and tests/run: install the Debian packages of deploy/packages that are missing.

say() { printf '%s\n' "$*"; }
die() { printf 'busi: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else
        command -v sudo >/dev/null || die "not root and no sudo: cannot run: $*"
        sudo "$@"
    fi
}

# install_packages ROOT GROUP...: those of the groups ("run", "test") that dpkg does not know as installed.
install_packages() {
    local root=$1 missing=() group name; shift
    while read -r group name; do
        case " $* " in *" $group "*) ;; *) continue ;; esac
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done < <(grep -v '^#' "$root/deploy/packages")
    [ ${#missing[@]} = 0 ] && return 0
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    local log; log=$(mktemp)
    # The servers that come with the packages are not to be started: busi runs its own, private ones.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy && made=1
    fi
    local ok=1
    as_root apt-get update -q >"$log" 2>&1 || ok=0
    [ $ok = 1 ] && { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        "${missing[@]}" >>"$log" 2>&1 || ok=0; }
    [ -n "$made" ] && as_root rm -f $policy
    if [ $ok = 0 ]; then tail -n 20 "$log" >&2; die "apt-get could not install the packages; the whole log is $log"; fi
    rm -f "$log"
}
