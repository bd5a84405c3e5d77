"""The addresses below `/api/v1/`: what each takes, what makes its answer, and the shape of that."""
