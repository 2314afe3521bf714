#!/bin/sh
# Claude Code runs this when a session starts, answers and ends, and describes the session on stdin; `cmat hook EVENT`
# records what it cost. The event is the first argument; without one, the session ends. It never disturbs a session: it
# ends with 0, which blocks nothing, and where `cmat` is not to be found, it does nothing.
case "${1-}" in
    "" | *[!a-z-]*) set -- session-end "$@" ;;
esac
for cmat in "$(command -v cmat)" "${CARGO_HOME:-$HOME/.cargo}/bin/cmat" "$HOME/.cargo/bin/cmat"; do
    [ -x "$cmat" ] && "$cmat" hook "$@" && exit 0
done
exit 0
