#!/usr/bin/env bash
# Eight machines share a file of prompts:  sbatch slurm.sh prompts.txt /shared/outputs
#SBATCH --job-name=clipgen
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --requeue
set -euo pipefail

exec srun clipgen batch "$1" --out "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
