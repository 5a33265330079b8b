#!/bin/bash
# A study on a Slurm cluster, in 8 parts that know nothing of each other:
#
#     sbatch examples/slurm.sh optimizers
#
# The nodes need a checkout with its .venv (`make setup`) and the data files on a
# shared file system. Send the same command again to go on with what is missing.
# When all parts have ended, join their stores and write the tables:
#
#     .venv/bin/medzoo study merge runs/slurm/optimizers/*
#     .venv/bin/medzoo study report optimizers
#
#SBATCH --job-name=medzoo
#SBATCH --array=1-8
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=medzoo-%A-%a.log
set -euo pipefail

study=${1:?Say which study: sbatch examples/slurm.sh optimizers}
part=$SLURM_ARRAY_TASK_ID
parts=$SLURM_ARRAY_TASK_COUNT

# A store a part, so that no part needs the others. Parts may also share one
# (leave this line out): leases keep any run from being done twice.
export MEDZOO_RUNS=runs/slurm/$study/$part

# Nothing is started in the last hour; SIGTERM ends what still runs at 11:58.
# `exec`, so that the signal reaches medzoo and not this script.
exec .venv/bin/medzoo study run "$study" \
    --shard "$part/$parts" \
    --workers "$SLURM_CPUS_PER_TASK" \
    --max-hours 11 \
    --out "results/slurm/$part"
