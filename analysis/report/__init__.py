"""`python -m analysis report`: recorded runs, tables and figures on one page."""
