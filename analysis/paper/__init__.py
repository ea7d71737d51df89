"""The paper's tables: its values, and the settings of the runs behind each."""
