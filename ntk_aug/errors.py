"""The errors of the library, one family: bad input, divergence, a broken file."""


class NtkAugError(Exception):
    """Base of all errors that the library raises on purpose; the message is one line."""


class InputError(NtkAugError, ValueError):
    """The caller's input cannot be used; the message says what was given and what is expected."""


class PrecisionError(InputError):
    """The network cannot be computed in float64, so its float32 rounding error is unknown."""


class NotFiniteError(InputError):
    """The Jacobian rows of an example hold NaN or infinity.

    Attributes:
      image: the position of the example in the batch.
    """

    def __init__(self, image: int):
        """Makes the message from the example's position."""
        super().__init__(f"the Jacobian of image {image} holds NaN or infinity")
        self.image = image


class UserCodeError(InputError):
    """A user's own function raised an error, which is this error's `__cause__`.

    Attributes:
      user_traceback: the traceback from the user's first line on, without this project's lines;
        empty if no line of the user's ran.
    """

    def __init__(self, message: str, *, user_traceback: str = ""):
        """Keeps the traceback beside the one-line message."""
        super().__init__(message)
        self.user_traceback = user_traceback


class DivergenceError(NtkAugError, ArithmeticError):
    """The loss of a training step is not finite; earlier records are kept.

    Attributes:
      epoch: the epoch, from 1.
      step: the optimizer step since the start, from 1.
    """

    def __init__(self, message: str, *, epoch: int, step: int):
        """Keeps the place beside the one-line message."""
        super().__init__(message)
        self.epoch, self.step = epoch, step


class BrokenFileError(NtkAugError, OSError):
    """A file exists but cannot be read: it is truncated, damaged, or of another format."""
