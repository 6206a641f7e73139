"""Errors a user can cause and mend; anything else that is raised is a bug of nextday."""


def first_line(error: BaseException) -> str:
    """Give the first line that an error of somebody else says, or its type where it says nothing."""
    return next(filter(None, str(error).splitlines()), type(error).__name__)


class NextdayError(Exception):
    """Base of every error raised on purpose: says what, where, and the way out, in one line."""


class StudyError(NextdayError):
    """A study file or an option asks for something that cannot be done."""


class MissingError(StudyError):
    """A model needs a package or weights that are not here; ``nextday run all`` goes on without its stage."""


class DataError(NextdayError):
    """Bars break a documented assumption."""


class TrainingError(NextdayError):
    """A model could not be fitted, or its forecasts are not numbers."""


class VerdictError(NextdayError):
    """A forecasts table cannot be compared as it is."""


class OutputError(NextdayError):
    """A result could not be written or read back."""


class PluginError(StudyError):
    """A plugin is not there, fails, or brings something that cannot be used."""


class OptionError(StudyError):
    """An option of the command line has a bad value, or excludes another: wrong usage, exit status 2."""
