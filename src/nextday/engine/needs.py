"""What networks and feature sets need and other studies do not: PyTorch, the compiler of kernels, and libraries."""

from collections.abc import Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, Literal

from nextday.errors import MissingError
from nextday.features.sets import require_library
from nextday.models import Device, resolve_device
from nextday.models.catalog import Model
from nextday.models.networks.base import Network
from nextday.study import Study

PACKAGES = {"torch": "PyTorch", "numba": "Numba", "llvmlite": "llvmlite"}  # of the extra ``torch``
INSTALL = "pip install 'nextday[torch]' --extra-index-url https://download.pytorch.org/whl/cpu"  # that has no CUDA


def refusal(package: str) -> str:
    """Return the line that names a missing package of networks, and how to install it."""
    return f"networks need {PACKAGES[package]}, which is not installed: {INSTALL}"


def hint(error: Exception) -> str:
    """Return how to install what a plugin imports in vain where networks need it, to put behind its error."""
    package = error.name if isinstance(error, ModuleNotFoundError) else None
    return f"; {refusal(package)}" if package in PACKAGES and package else ""


def require_packages(study: Study, catalogs: Mapping[str, Model]) -> None:
    """Refuse a study that names what cannot be computed here, a network or a feature set, before its bars are read.

    Raises
    ------
    MissingError
        If a package of networks or a feature set's library is missing.
    """
    for name in study.inputs:
        require_library(name)
    for name, variant in study.variants.items():
        if _is_network(catalogs.get(variant.model)):
            for package in PACKAGES:
                if find_spec(package) is None:
                    raise MissingError(f"variants.{name}: {refusal(package)}")


def choose_device(device: Device) -> Literal["cpu", "cuda"]:
    """Choose the device that is there; without PyTorch it is the CPU.

    Raises
    ------
    MissingError
        If a GPU is asked for and PyTorch is not installed.
    """
    if find_spec("torch"):
        return resolve_device(device)
    if device == "cuda":
        raise MissingError(f"device cuda: {refusal('torch')}")
    return "cpu"


def find_torch() -> Any:  # noqa: ANN401 - a module
    """Import PyTorch, or return None where it is not installed."""
    return import_module("torch") if find_spec("torch") else None


def version_of(library: str) -> str:
    """Return the version of an installed library, empty where it is not installed."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def _is_network(model: Model | None) -> bool:
    return isinstance(model, Network) or (isinstance(model, type) and issubclass(model, Network))
