"""Two kinds of import rule that import-linter does not have: an allow-list, and sole importers of a library.

The rules themselves stand in pyproject.toml under `tool.importlinter`; this is registered there as `contract_types`.
"""

from fnmatch import fnmatchcase
from typing import cast

from grimp import DetailedImport, ImportGraph
from importlinter import Contract, ContractCheck, fields, output

__all__ = ["OnlyImports", "SoleImporters"]


class OnlyImports(Contract):
    """The modules, and all below them, import nothing but what is allowed.

    `modules`, `excluding` and `allowed` name modules and everything below them. With `libraries` false, only imports of
    our own packages are judged; with true, the standard library and third parties are judged as well.
    """

    type_name = "only_imports"

    # import-linter replaces each field by its value when it makes the contract; the casts say what is there then.
    modules = cast("list[str]", fields.ListField(subfield=fields.StringField()))
    excluding = cast("list[str]", fields.ListField(subfield=fields.StringField(), required=False, default=[]))
    allowed = cast("list[str]", fields.ListField(subfield=fields.StringField(), required=False, default=[]))
    libraries = cast("bool", fields.BooleanField(required=False, default=False))

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # import-linter's form
        """Find every direct import that leads out of what is allowed."""
        judged = {module for module in graph.modules if self._is_judged(module)}
        broken = [
            details
            for importer in sorted(judged)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not self._is_allowed(graph, imported)
            for details in graph.get_import_details(importer=importer, imported=imported)
        ]
        return _verdict(broken)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line per import that must go."""
        _render(check, f"may import only: {', '.join([*self.modules, *self.allowed])}")

    def _is_judged(self, module: str) -> bool:
        return _is_under(module, self.modules) and not _is_under(module, self.excluding)

    def _is_allowed(self, graph: ImportGraph, imported: str) -> bool:
        if graph.is_module_squashed(imported) and not self.libraries:
            return True
        return self._is_judged(imported) or _is_under(imported, self.allowed)


class SoleImporters(Contract):
    """A library is imported by the modules that match one of the patterns, and by nobody else."""

    type_name = "sole_importers"

    library = cast("str", fields.StringField())
    importers = cast("list[str]", fields.ListField(subfield=fields.StringField()))

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # import-linter's form
        """Find every direct import of the library from elsewhere."""
        if self.library not in graph.modules:
            return _verdict([])
        broken = [
            details
            for importer in sorted(graph.find_modules_that_directly_import(self.library))
            if not any(fnmatchcase(importer, pattern) for pattern in self.importers)
            for details in graph.get_import_details(importer=importer, imported=self.library)
        ]
        return _verdict(broken)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line per import that must go."""
        _render(check, f"only {', '.join(self.importers)} may import {self.library}")


def _is_under(module: str, roots: list[str]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def _verdict(broken: list[DetailedImport]) -> ContractCheck:
    return ContractCheck(kept=not broken, metadata={"broken": broken})


def _render(check: ContractCheck, rule: str) -> None:
    for found in check.metadata["broken"]:
        output.print_error(f"{found['importer']} -> {found['imported']} (l.{found['line_number']}): {rule}", bold=False)
    output.new_line()
