#!/usr/bin/env bash
#SBATCH --job-name=harness
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
# Starts Ray on every node of the allocation and runs one command of harness there:
#
#     sbatch deploy/slurm.sh sweep EXPERIMENT --workdir FOLDER
#     sbatch --nodes=4 --gpus-per-node=2 deploy/slurm.sh run EXPERIMENT --workdir FOLDER --workers 16
#
# FOLDER must lie on a file system that all nodes share. Five minutes before the time limit the
# running jobs save their state, and the allocation is asked for again, to go on from there.
set -euo pipefail

cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
gpus=${SLURM_GPUS_ON_NODE:-0}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)  # where this script runs
host=$(hostname -I | awk '{print $1}')
address="$host:$((20000 + SLURM_JOB_ID % 20000))"
declared=(--num-cpus "$cpus" --num-gpus "$gpus" --block)
export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
# Ray runs what anybody sends it: only who knows this word may.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')

started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait' EXIT

ray start --head --node-ip-address "$host" --port "${address##*:}" \
  --temp-dir "/tmp/ray-$SLURM_JOB_ID" --include-dashboard false "${declared[@]}" >/dev/null &
started+=($!)
# A node that asks before the head is up would give up at once.
for _ in $(seq 120); do
  (: </dev/tcp/"$host"/"${address##*:}") 2>/dev/null && break
  sleep 1
done
others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
  srun --nodes "$others" --ntasks "$others" --cpus-per-task "$cpus" --exclude "$head" \
    ray start --address "$address" "${declared[@]}" >/dev/null &
  started+=($!)
fi
python - "$address" "$SLURM_JOB_NUM_NODES" <<'EOF'
import sys, time, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
until = time.monotonic() + 300
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    if time.monotonic() > until:
        sys.exit("not all nodes started Ray within five minutes")
    time.sleep(1)
EOF

harness "$@" --engine ray --address "$address" &
driver=$!
trap 'kill -TERM "$driver" 2>/dev/null || true' TERM
code=0
wait "$driver" || code=$?
while kill -0 "$driver" 2>/dev/null; do  # a signal ends `wait` before the command has left
  code=0
  wait "$driver" || code=$?
done
if [ "$code" -eq 130 ]; then  # asked to stop: the state is saved
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
