"""The routes, one module a scope: each asks for its key before it reads anything else."""
