"""Operations on batches: a key per example, mixing of examples, selection of candidates."""
