"""Operations on uint8 images [h, w, c] that equal Pillow's bit by bit."""
