"""A study's folder: its manifest and its tables, with one writer and one reader.

Reading never runs code from the folder. A study writes the tables that have rows; a missing table is read as an empty
one, unless it is required.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nextday.errors import OutputError, first_line
from nextday.storage.files import write_atomically, write_parquet
from nextday.storage.tables import NEEDED, OPTIONAL, Schema
from nextday.storage.trail import reads, wrote

BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, pl.exceptions.PolarsError)
MANIFEST, VERDICT, REPORT, STUDY, LOG = "manifest.json", "verdict.json", "report.html", "study.yaml", "run.log"
GROUPS, TEXTS = ("study", "data", "units", "versions", "checks"), ("notes", "pooled")  # of a manifest


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The folder of a study's files.

    Attributes
    ----------
    path
        Path of the folder.
    purpose, way_out
        Parts of an error message: the purpose of the finished study, and what to do.

    Examples
    --------
    >>> StudyFolder(Path("results") / "nowhere").is_finished
    False
    """

    path: Path
    purpose: str = ""
    way_out: str = "run the study, then report its folder"

    @property
    def name(self) -> str:
        """Name of the study, unless the folder was moved."""
        return self.path.name

    @property
    def is_finished(self) -> bool:
        """Whether a study was fitted here: the manifest exists, which is written after the tables."""
        return self._read(MANIFEST).is_file()

    @property
    def has_report(self) -> bool:
        """Whether its report was written, which comes last."""
        return self._read(REPORT).is_file()

    @property
    def units(self) -> Path:
        """Default folder of the study's finished units."""
        return self._read("units")

    def beside(self, name: str) -> "StudyFolder":
        """Return the folder of another study with the same results folder."""
        return StudyFolder(self.path.parent / name)

    def write(self, manifest: bytes, study: str, tables: Mapping[str, pl.DataFrame]) -> None:
        """Write the nonempty tables, remove obsolete tables of an earlier run, then write the manifest.

        Manifest and report of an earlier run are removed first, so that they are never combined with new numbers.
        """
        for name in (REPORT, MANIFEST):
            (self.path / name).unlink(missing_ok=True)
        for name, table in tables.items():
            if len(table) or name in NEEDED:
                write_parquet(self._file(name), table)
            else:
                self._file(name).unlink(missing_ok=True)
                wrote(self._file(name), None)
        self.put(STUDY, study)
        self.put(MANIFEST, manifest)

    def put(self, name: str, content: bytes | str) -> None:
        """Write a file derived from the tables."""
        write_atomically(self.path / name, content.encode() if isinstance(content, str) else content)

    def manifest(self) -> dict[str, Any]:
        """Read the manifest and check the keys that a report needs.

        Raises
        ------
        OutputError
            If it is missing, is not JSON, or has an unexpected structure.
        """
        try:
            found = json.loads(self._read(MANIFEST).read_text("utf-8"))
            for key in GROUPS:
                if not isinstance(found[key], dict):
                    raise TypeError(f"{key} is not a group of keys")
            for key in TEXTS:
                if not (isinstance(found[key], list) and all(isinstance(text, str) for text in found[key])):
                    raise TypeError(f"{key} is not a list of texts")
        except BROKEN as error:
            raise self.refusal(MANIFEST, error) from None
        return dict(found)

    def has(self, name: str) -> bool:
        """Return whether a table was written."""
        return self._read(f"{name}.parquet").is_file()

    def tables(self, schemas: Mapping[str, Schema]) -> dict[str, pl.DataFrame]:
        """Read several tables, each as ``table`` does."""
        return {name: self.table(name, schema) for name, schema in schemas.items()}

    def table(self, name: str, schema: Schema) -> pl.DataFrame:
        """Read the columns of ``schema`` from a table; empty if the study did not write it.

        Raises
        ------
        OutputError
            If it cannot be read, lacks a column, or has a missing value where none is allowed.
        """
        if not self.has(name) and name not in NEEDED:
            return pl.DataFrame(schema=schema)
        try:
            found = pl.read_parquet(self._read(f"{name}.parquet"), hive_partitioning=False)
            found = found.match_to_schema(schema, extra_columns="ignore", integer_cast="upcast")
            lacking = [column.name for column in found.drop(OPTIONAL) if column.null_count()]
            if lacking:
                raise ValueError(f"values of {lacking[0]} are missing")
        except BROKEN as error:
            raise self.refusal(f"{name}.parquet", error) from None
        return found

    def verdict(self) -> dict[str, Any]:
        """Read the verdict.

        Raises
        ------
        OutputError
            If it is missing or is not a JSON object.
        """
        try:
            return dict(json.loads(self._read(VERDICT).read_text("utf-8")))
        except BROKEN as error:
            raise self.refusal(VERDICT, error) from None

    def refusal(self, file: str, error: Exception) -> OutputError:
        """Return an error that states why the folder is not a finished study, and what to do."""
        why = "is missing" if isinstance(error, FileNotFoundError) else first_line(error)
        return OutputError(
            f"{self.path} does not contain a finished study{self.purpose}: {file}: {why}; {self.way_out}"
        )

    def _read(self, file: str) -> Path:
        """Return the path of a file that is about to be read; what is kept of what is made of it depends on it."""
        reads(self.path / file)
        return self.path / file

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.parquet"
