# What the sessions beside this have in common, to be sourced: every command must do what it says; what must be refused
# is said by `refused`.
set -eu

one() { openstack "$@" --format value; }
refused() {
    if said=$(openstack "$@" 2>&1); then echo "not refused: openstack $*" >&2; exit 1; fi
    echo "refused, as it should be: openstack $*: $(echo "$said" | tail -n 1)"
}
is() { [ "$1" = "$2" ] || { echo "expected '$2', got '$1'" >&2; exit 1; }; }
has() { case "$1" in *"$2"*) ;; *) echo "expected '$2' in '$1'" >&2; exit 1 ;; esac; }
lacks() { case "$1" in *"$2"*) echo "did not expect '$2' in '$1'" >&2; exit 1 ;; esac; }
reaches() { # STATUS KIND show NAME: what has no --wait
    wanted=$1; shift
    for _ in $(seq 120); do
        status=$(one "$@" -c status)
        [ "$status" = "$wanted" ] && return
        sleep 1
    done
    echo "$* is $status, not $wanted" >&2; exit 1
}
gone() { # KIND show NAME
    for _ in $(seq 120); do
        openstack "$@" > /dev/null 2>&1 || return 0
        sleep 1
    done
    echo "$* is there still" >&2; exit 1
}
until_lacks() { # TEXT COMMAND ...
    text=$1; shift
    for _ in $(seq 60); do
        case "$(one "$@")" in *"$text"*) sleep 1 ;; *) return 0 ;; esac
    done
    echo "$text is in $* still" >&2; exit 1
}
left() { # NAMES KIND: what a session that was broken off has left
    names=" $1 "; shift
    one "$@" list -c ID -c Name | while read -r ident name; do
        case "$names" in *" $name "*) openstack "$@" delete "$ident" ;; esac
    done
}
