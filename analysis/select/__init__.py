"""`python -m analysis select`: which examples stand for all."""
