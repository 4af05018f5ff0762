"""The parts of benchmarks/gpu.py. The folder is not named gpu, as that name is the script's."""
