"""Errors that a user can cause and correct; any other exception is a bug of nextday."""


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error message, or its type if it has none."""
    return next(filter(None, str(error).splitlines()), type(error).__name__)


class NextdayError(Exception):
    """Base of every deliberate error: one line with what is wrong, where, and how to fix it."""


class StudyError(NextdayError):
    """A study file or an option is invalid."""


class MissingError(StudyError):
    """A model needs a package or weights that are not installed; ``nextday run all`` skips its stage."""


class DataError(NextdayError):
    """Bars violate a documented assumption."""


class TrainingError(NextdayError):
    """A model could not be fitted, or its forecasts are not finite."""


class VerdictError(NextdayError):
    """A forecasts table cannot be compared."""


class OutputError(NextdayError):
    """A result could not be written or read."""


class PluginError(StudyError):
    """A plugin is missing, fails, or registers something invalid."""


class OptionError(StudyError):
    """An option of the command line has a bad value, or excludes another: wrong usage, exit status 2."""
