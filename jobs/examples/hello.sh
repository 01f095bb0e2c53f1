#!/bin/sh
#GRIST name = "hello"
#GRIST timeout = "1m"

# A script is a job with one task. What it prints is its log; a line such as [2/4] moves its progress bar.

echo "Hello from job ${GRIST_JOB:-none}, worker ${GRIST_WORKER:-none}, on $(uname -n)."

echo "[1/4] system:  $(uname -s) $(uname -r) on $(uname -m)"
sleep 0.5
echo "[2/4] cores:   $(getconf _NPROCESSORS_ONLN)"
sleep 0.5
echo "[3/4] memory:  $(awk '/^MemAvailable/ { printf "%.1f GiB free", $2 / 1048576 }' /proc/meminfo)"
sleep 0.5
echo "[4/4] disk:    $(df -Ph . | awk 'NR == 2 { print $4 " free in this folder" }')"
sleep 0.5

echo "Done. Exit code 0 means done; any other would mean failed."
