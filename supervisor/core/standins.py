"""Programs that stand in for Slurm's commands in scripts, on a machine without Slurm: shell texts, by their names."""

from __future__ import annotations

_SRUN = """#!/bin/sh
# Stands in for Slurm's srun in a task of Gristmill: runs the command once, with the task's own cores.
n=1
take() { case $1 in n) n=$2 ;; D) cd "$2" || exit 1 ;; o) exec >"$2" ;; e) exec 2>"$2" ;; esac; }
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    --multi-prog) echo "srun: --multi-prog is not there in Gristmill" >&2; exit 1 ;;
    --ntasks=*) n=${1#*=}; shift ;;
    --ntasks) n=$2; shift 2 ;;
    --chdir=*) take D "${1#*=}"; shift ;;
    --output=*) take o "${1#*=}"; shift ;;
    --error=*) take e "${1#*=}"; shift ;;
    --chdir) take D "$2"; shift 2 ;;
    --output) take o "$2"; shift 2 ;;
    --error) take e "$2"; shift 2 ;;
    --*=*|--contiguous|--disable-status|--exact|--exclusive|--immediate|--kill-on-bad-exit|--label) shift ;;
    --no-allocate|--no-kill|--overcommit|--overlap|--oversubscribe|--preserve-env|--pty|--quiet|--spread-job) shift ;;
    --unbuffered|--use-min-nodes|--verbose|--whole) shift ;;
    --*) shift 2 ;;
    -[EHIKklOQsuvXZ]*) shift ;;
    -?) take "${1#-}" "$2"; shift 2 ;;
    -?*) rest=${1#-?}; word=${1#-}; take "${word%"$rest"}" "$rest"; shift ;;
    *) break ;;
  esac
done
if [ "$n" != 1 ]; then
  echo "srun: $n tasks are asked for, and one runs here - start MPI programs with mpirun -n $n" >&2
  exit 1
fi
exec "$@"
"""

_SCONTROL = """#!/bin/sh
# Stands in for Slurm's scontrol in a task of Gristmill.
case "$1 $2" in
  "show hostnames" | "show hostname") echo "$SLURMD_NODENAME" ;;
  *) echo "scontrol: nothing but 'show hostnames' is there in Gristmill" >&2; exit 1 ;;
esac
"""

PROGRAMS = {"srun": _SRUN, "scontrol": _SCONTROL}
