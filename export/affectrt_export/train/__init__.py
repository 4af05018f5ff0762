"""Trains the networks of the default packs on a CPU, in runs that stop after given minutes and go on where they stopped."""
