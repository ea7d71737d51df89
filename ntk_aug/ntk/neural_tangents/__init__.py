"""The same kernels by the library neural_tangents: a bridge, a backend and a comparison."""
