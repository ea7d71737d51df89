"""Operations on float images [h, w, c] in [0, 1]: geometry, crops, blur and noise."""
