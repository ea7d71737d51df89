"""The errors of the library, one family: bad input, divergence, a broken file."""


class NtkAugError(Exception):
    """Base of all errors that the library raises on purpose; the message is one line."""


class InputError(NtkAugError, ValueError):
    """The caller's input cannot be used; the message says what was given and what is expected."""


class PrecisionError(InputError):
    """The network cannot be computed in float64, so the error of its float32 rows is unknown."""


class NotFiniteError(InputError):
    """The rows of an example hold NaN or infinity.

    Attributes:
      image: the example's place among those that were given.
    """

    def __init__(self, image: int):
        """Makes the message from the example's place."""
        super().__init__(f"the Jacobian of image {image} holds NaN or infinity")
        self.image = image


class UserCodeError(InputError):
    """A user's own function has raised an error, which is the cause of this one.

    Attributes:
      user_traceback: the cause's traceback from the user's first line on, without this project's
        lines; empty where no line of the user's has run.
    """

    def __init__(self, message: str, *, user_traceback: str = ""):
        """Keeps the traceback beside the message, which is one line."""
        super().__init__(message)
        self.user_traceback = user_traceback


class DivergenceError(NtkAugError, ArithmeticError):
    """The loss of a training step is not finite; what was recorded before is kept.

    Attributes:
      epoch: in which it happened, from 1.
      step: of the optimiser since the start, from 1.
    """

    def __init__(self, message: str, *, epoch: int, step: int):
        """Keeps where it happened beside the message, which is one line."""
        super().__init__(message)
        self.epoch, self.step = epoch, step


class BrokenFileError(NtkAugError, OSError):
    """A file exists but cannot be read: it is cut off, damaged, or of another format."""
