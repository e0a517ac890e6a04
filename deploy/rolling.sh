#!/bin/sh
# Restarts the instances of turbo-deno@.service one after the other, each when the one before it is ready, so
# that open pages always have a process to go to. tests/rolling_test.ts runs this file.
set -eu

usage() {
  cat <<'USAGE'
Usage: rolling.sh [--wait SECONDS] [--pause SECONDS] [--unit NAME] PORT PORT...

Restarts turbo-deno@PORT.service for each of the ports, one after the other. Put the new
executable in its place before. The pages of an instance go to the others, which replay
what was pushed meanwhile, so all must have the same Redis.

It asks /readyz of 127.0.0.1 at each port. It restarts none while no other is ready or
another rolling.sh runs, and stops at the first that does not become ready; the rest then
go on as they are.

  --wait SECONDS   how long an instance may take to become ready; 60 by default
  --pause SECONDS  time between two instances, for a load balancer that has to notice; 0 by default
  --unit NAME      the name of the unit before its port; turbo-deno@ by default
  --help           show this

The exit code is 0 when all are ready, 1 where one is not, and 2 for a wrong option.
USAGE
}

say() {
  echo "rolling.sh: $*"
}

fail() {
  code=$1
  shift
  say "$*" >&2
  exit "$code"
}

is_number() {
  case $1 in
  '' | *[!0-9]* | ??????*) return 1 ;;
  esac
}

is_port() {
  case $1 in
  0*) return 1 ;;
  esac
  is_number "$1" && [ "$1" -le 65535 ]
}

# What an instance says of itself; nothing where it does not answer. "degraded" is not ready: without its
# Redis nobody replays what a page missed.
answer_of() {
  curl --silent --max-time 2 "http://127.0.0.1:$1/readyz" || true
}

is_ready() {
  case $(answer_of "$1") in
  *'"status":"ready"'*) return 0 ;;
  *) return 1 ;;
  esac
}

# The first of the other instances that is ready.
other_than() {
  for other in $ports; do
    if [ "$other" != "$1" ] && is_ready "$other"; then
      echo "$other"
      return
    fi
  done
}

wait=60
pause=0
unit=turbo-deno@
ports=
while [ $# -gt 0 ]; do
  case $1 in
  --help)
    usage
    exit 0
    ;;
  --wait | --pause)
    is_number "${2-}" || fail 2 "$1 is \"${2-}\": a whole number of seconds up to 99999 is needed"
    if [ "$1" = --wait ]; then wait=$2; else pause=$2; fi
    shift 2
    ;;
  --unit)
    [ -n "${2-}" ] || fail 2 "--unit is \"\": a name such as turbo-deno@ is needed"
    unit=$2
    shift 2
    ;;
  *)
    is_port "$1" || fail 2 "\"$1\" is neither an option nor a port; see rolling.sh --help"
    case " $ports " in
    *" $1 "*) fail 2 "port $1 is given twice" ;;
    esac
    ports="$ports $1"
    shift
    ;;
  esac
done
case $ports in
' '*' '*) ;;
*) fail 2 "at least two ports are needed; a single instance keeps its pages by --state" ;;
esac
command -v curl >/dev/null || fail 2 "curl is needed, and not installed"

# Two runs together could each take the instance for ready that the other restarts next. The lock ends with
# this process.
if [ -r "$0" ] && command -v flock >/dev/null; then
  exec 9<"$0"
  flock --nonblock 9 || fail 1 "another rolling.sh runs, so nothing is restarted"
fi

is_first=yes
for port in $ports; do
  [ "$is_first" = yes ] || sleep "$pause"
  is_first=no
  other=$(other_than "$port")
  [ -n "$other" ] || fail 1 "no other instance is ready, so $unit$port is not restarted"
  say "$unit$port restarts, and $other has its pages"
  systemctl restart "$unit$port" || fail 1 "$unit$port does not restart: stopped here"
  waited=0
  until is_ready "$port"; do
    if [ "$waited" -ge "$wait" ]; then
      fail 1 "$unit$port is not ready after $wait s, and answers \"$(answer_of "$port")\":" \
        "stopped here. See journalctl --unit $unit$port"
    fi
    sleep 1
    waited=$((waited + 1))
  done
  say "$unit$port is ready"
done
# One that became ready may have ended since, as a version does that cannot work for long.
for port in $ports; do
  is_ready "$port" || fail 1 "$unit$port was ready and is not any more. See journalctl --unit $unit$port"
done
say "all are ready"
