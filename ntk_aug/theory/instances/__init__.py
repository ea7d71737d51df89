"""Instances of every statement: random, counterexamples, attained, without an assumption."""
