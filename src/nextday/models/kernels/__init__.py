"""Compiled kernels: the inner tile in LLVM, the layers in Numba."""
