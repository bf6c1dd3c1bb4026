#!/bin/bash

# Parameters
#SBATCH --account=lab
#SBATCH --array=0-7%8
#SBATCH --cpus-per-task=4
#SBATCH --exclusive
#SBATCH --gpus-per-node=1
#SBATCH --job-name=hpo-small-0a1b2c3d-1
#SBATCH --mem=16GB
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/home/me/.hpo/logs/%A_%a_0_log.out
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --signal=USR2@90
#SBATCH --time=240
#SBATCH --wckey=submitit

# setup
module load cuda/12.8

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /home/me/.hpo/logs/%A_%a_%t_log.out --cpus-per-task=4 /home/me/.venv/bin/python -u -m submitit.core._submit /home/me/.hpo/logs
