#!/usr/bin/env bash
# One Ray cluster on four machines makes all pictures:  sbatch ray.sh prompts.txt /shared/outputs
#SBATCH --job-name=clipgen
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=16
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0
head=$(hostname)
ray start --head --port=6379 --num-gpus=4 --num-cpus=16
trap 'ray stop' EXIT
if ((SLURM_NNODES > 1)); then
    srun --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) --exclude="$head" \
        ray start --address="$head:6379" --num-gpus=4 --num-cpus=16 --block &
    sleep 20
fi

clipgen batch "$1" --out "$2" --ray "$head:6379"
