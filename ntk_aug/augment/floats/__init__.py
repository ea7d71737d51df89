"""Operations on floats in [0, 1], [h, w, c]: geometry, crops, blur and noise."""
