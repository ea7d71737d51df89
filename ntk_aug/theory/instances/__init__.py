"""Instances of each statement: random ones, counterexamples, equalities, dropped assumptions."""
