"""
Measure how a Python package reads: its names, its prose, its sizes and its rooms.

    python -m tests.benchmark.readability [PACKAGE_DIR] [--tests DIR] [--json] [--verbose] [--against GIT_REV]

The script parses the source and never imports it. The script prints figures and judges none of them: the exit code is
an error only where there is nothing to measure. Folders named `tests` or `migrations` inside the package are left out,
because tests are not the package and a migration is history that nobody may edit.

Every figure is a proxy. A list of words decides what a verb is, so a figure is comparable only with a figure of the
same version of this script. Share of names: every definition counts once, so a name that stands in four files counts
four times.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import tokenize
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT_FOLDERS = frozenset({"tests", "test", "migrations", "__pycache__"})
MOST_PUBLIC_METHODS = 15
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 50
FEWEST_FILES = 3  # a function name in so many files is listed


def read_words(text: str) -> frozenset[str]:
    """Return the words of the text."""
    return frozenset(text.split())


# Words that are verbs wherever they begin a name. Spellings in -ise are looked up as -ize.
VERBS = read_words(
    """
    abandon abort accept accumulate acquire activate add adjust adopt advance advertise aggregate align allocate
    allow analyze annotate append apply arrange arrive ask assemble assert assign attach authenticate authorize
    await begin bind bootstrap borrow bring broadcast browse build calc calculate cancel capture carry catch
    categorize choose claim classify clean clear clip close coerce collapse collect combine commit compact compare
    compile complete compose compress compute concat concatenate configure confirm connect consume contain continue
    convert correct crawl create deactivate debounce decide decline decode decompress decorate decrease decrement
    decrypt deduplicate defer define delegate delete deliver demote deny dequeue derive describe deserialize destroy
    detach detect determine diff disable discard disconnect dispatch dispose distribute divide download drain draw
    dump elect eliminate embed emit empty enable encode encrypt enforce enqueue ensure enter enumerate erase
    establish evaluate evict examine exclude execute expand expect expire explain expose extend fetch fill finalize
    find finish flatten flush fold follow forbid forget free freeze fsync gather generate get getattr give go grant
    grow guarantee halt handle have hide hoist identify ignore improve include increase increment indent infer
    inflate inform ingest inherit init initialize initiate inject insert inspect install instantiate interpolate
    interrupt intersect introduce invalidate invoke isolate iterate keep kill know launch lay learn let lift listen
    load localize locate lower lstrip make manage materialize memoize mend migrate minimize modify monitor mount
    multiply mutate narrow negotiate normalize notify observe obtain omit optimize overwrite pad paginate parse
    partition peek perform permit persist pop populate prefer prepare prepend preserve prevent probe promote
    propagate propose protect prove provide prune publish pull purge push put quarantine quit quote raise randomize
    react read readinto rebuild recalculate receive recognize recompute reconcile reconnect reconstruct recover
    recreate redirect redo reduce refill refresh refuse regenerate register regroup reindex reject relate reload
    remember remove rename render renew reopen reorder repair replace replay represent requeue require rerun
    reschedule reserve reset resize resolve respond restart restore restrict resume retrieve retry reuse revert
    revise revoke rewind rewrite roll rotate run sanitize save say scrub see seek select send separate serialize
    serve settle setup shrink shuffle shut shutdown simplify skip smooth solve spawn specify start strip submit
    subscribe subtract suggest suppress surround suspend swap sync synchronize take teardown tell terminate throttle
    throw tidy toggle tokenize transact translate traverse trim truncate tune unbind understand undo unescape unify
    uninstall unlink unload unlock unpack unquote unregister unsubscribe unwind unwrap unzip upgrade upload upsert
    validate verify vet warn weigh widen withdraw wrap write yield
    """
)
# Words that ask: a function that begins with one answers yes or no. The third person of a verb asks too if a further
# word follows (`closes_file`); alone it may be a plural (`reads`), so only these few count alone.
PREDICATES = read_words(
    """
    accepts are can contains could did does equals exists fits had has have holds is looks matches may might must
    needs overlaps recognizes should was were will would
    """
)
# Words that are nouns as often as verbs. Alone (`match`) or before `of` (`copy_of`) such a word names a value, and a
# name that begins with it counts as a verb only if a further word follows (`match_rows`).
NOUN_VERBS = read_words(
    """
    access alert answer archive attempt benchmark block buffer call chain change check chunk cluster copy count
    cover crash cut damage deal debug delay digest display document drop duplicate edit end error escape estimate
    exit export extract feed figure filter fit fix flag flow form format forward group guess hand hash head help
    hold host import index input issue join label lead lease leave level limit link list lock log look loop map mark
    match measure merge model move name need note number offer open order output pack pass patch pause pick pipe
    place plan plot point poll pool post print process produce profile project prompt query question queue range
    rank rate reach record reference release repeat reply report request result return review round route sample
    scale scan schedule score search sequence set share shift show sign signal sleep slice snapshot sort sound span
    split spread stamp stem step stop store stream stretch sum supply support switch table tag target test touch
    trace track train transfer transform trigger try turn type update use value view visit wait wake walk warm watch
    weight word work zip
    """
)
# The noun-verbs that programmers read as a command even alone: `dict.update`, `file.read`, `list.sort`.
COMMANDS = read_words(
    """
    call check copy drop escape export extract feed fit fix format hash import join leave lock log look map mark
    match merge move open pack pass patch pick poll print process prompt release repeat return scan search set show
    sign sleep sort split stop store touch transform try update visit wait wake walk watch zip
    """
)
IRREGULAR_PARTICIPLES = read_words(
    """
    begun bound broken brought built caught chosen done drawn driven fallen felt forgotten found frozen given gone
    grown heard held hidden kept known laid led left lent lost made meant met paid proven said seen sent shown slept
    sold sought spent spoken stood stuck taken taught thought thrown told torn understood woken won worn written
    """
)
# Words in -ed and -ing that are no participles, or are used as plain adjectives and nouns.
NOT_PARTICIPLES = read_words(
    """
    anything awarning bed beginning binding bring building ceiling ding during embed encoding ending evening
    everything exceed feed fromstring heading hundred indeed king listing logging mapping meaning missing mixed
    morning need nothing padding ping proceed reading recurring red ring sacred seed setting shared shed shred sing
    something spaced spacing speed spelling spring standing sting string structured succeed swing thing thread
    timing tostring unchanged warning weed wing writing
    """
)
# Words that stand for a noun the reader has to find. `this` is left out: in docstrings it mostly stands before its
# noun (`this function`).
PRONOUNS = read_words(
    """
    he her hers him his it its itself one ones she that their theirs them themselves these they those what whatever
    which who whoever whom whose
    """
)

_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_PROSE_WORD = re.compile(r"[A-Za-z]+")
_PATCH_METHODS = frozenset({"setattr", "delattr", "setitem", "delitem"})  # setenv changes settings, not code
_PATCH_ROOTS = frozenset({"mock", "mocker", "unittest"})
_MAKERS = frozenset({"__init__", "__new__", "__post_init__", "__setstate__", "__set_name__"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file."""

    path: Path  # relative to the folder that holds the package or the tests
    lines: int
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Definition:
    """One function or method, and where it stands."""

    path: Path
    node: Function

    @property
    def name(self) -> str:
        """The name as written."""
        return self.node.name

    @property
    def lines(self) -> int:
        """The length in lines, without decorators."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def address(self) -> str:
        """The file, the line and the name, for a list."""
        return f"{self.path}:{self.node.lineno} {self.name}"


# Files


def load_sources(folder: Path, left_out: frozenset[str] = frozenset()) -> list[Source]:
    """Parse every Python file below the folder, in sorted order. Report an unreadable file and skip the file."""
    sources = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder.parent)
        if left_out.intersection(relative.parts[1:-1]):
            continue
        try:
            with tokenize.open(path) as file:  # reads the encoding that the file declares
                text = file.read()
            sources.append(Source(relative, len(text.splitlines()), ast.parse(text)))
        except (SyntaxError, UnicodeDecodeError) as error:
            print(f"skipped {path}: {error}", file=sys.stderr)
    return sources


def list_definitions(sources: Iterable[Source]) -> list[Definition]:
    """Return every function and method of the sources, nested ones too."""
    return [
        Definition(source.path, node)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


# Names


def is_property(node: Function) -> bool:
    """Return whether a decorator makes the function a value: property, cached_property, or a setter of one."""
    names = [find_last_name(decorator) for decorator in node.decorator_list]
    return any(name.endswith("property") or name in {"setter", "getter", "deleter"} for name in names)


def find_last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name, called or not: `cached_property` of `functools.cached_property`."""
    if isinstance(node, ast.Call):
        return find_last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_judged(definition: Definition) -> bool:
    """Return whether the name is measured: dunders, tests and properties are not."""
    name = definition.name
    is_dunder = name.startswith("__") and name.endswith("__")
    return not (is_dunder or name.startswith("test_") or is_property(definition.node))


def split_name(name: str) -> list[str]:
    """Return the words of a snake_case or camelCase name in lower case. A name without letters is one word."""
    return [part.lower() for part in _NAME_PART.findall(name)] or [name]


def begins_with_verb(name: str) -> bool:
    """Return whether the first word of the name is a verb or a predicate."""
    first, *rest = split_name(name)
    if first not in VERBS:
        first = re.sub(r"is(es?)$", r"iz\1", first)
    if first in NOUN_VERBS:
        return rest[0] != "of" if rest else first in COMMANDS
    is_third_person = bool(rest) and not VERBS.isdisjoint({first.removesuffix("s"), first.removesuffix("es")})
    return first in VERBS or first in PREDICATES or is_third_person


def begins_with_participle(name: str) -> bool:
    """Return whether the first word of the name is a participle: `opened`, `waiting_files`, `gone`."""
    first = split_name(name)[0]
    if first in IRREGULAR_PARTICIPLES:
        return True
    return first.endswith(("ed", "ing")) and first not in NOT_PARTICIPLES and len(first) > len("ring")


def find_shared_names(definitions: Iterable[Definition]) -> dict[str, list[str]]:
    """Return each function name that stands in several files, with the files."""
    files: dict[str, set[str]] = defaultdict(set)
    for definition in definitions:
        files[definition.name].add(str(definition.path))
    return {name: sorted(paths) for name, paths in sorted(files.items()) if len(paths) >= FEWEST_FILES}


def measure_names(definitions: list[Definition]) -> dict[str, Any]:
    """Measure the function names of the package."""
    judged = [definition for definition in definitions if is_judged(definition)]
    names = [definition.name for definition in judged]
    participles = [name for name in names if begins_with_participle(name)]
    verbless = [name for name in names if not begins_with_verb(name)]
    return {
        "function_names": len(names),
        "verb_first_percent": find_percent(len(names) - len(verbless), len(names)),
        "one_word_percent": find_percent(sum(len(split_name(name)) == 1 for name in names), len(names)),
        "participle_first_percent": find_percent(len(participles), len(names)),
        "names_in_several_files": len(find_shared_names(judged)),
        "list_names_in_several_files": find_shared_names(judged),
        "list_participle_first": count_names(participles),
        "list_not_verb_first": count_names(verbless),
    }


def count_names(names: Iterable[str]) -> list[str]:
    """Return the names in sorted order; a repeated name once, with its count."""
    return [name if count == 1 else f"{name} ({count})" for name, count in sorted(Counter(names).items())]


def find_percent(part: int, whole: int) -> float | None:
    """Return the share in percent, or None for a share of nothing."""
    return round(100 * part / whole, 1) if whole else None


# Prose


def list_docstring_words(sources: Iterable[Source]) -> list[str]:
    """Return every word of every docstring in lower case."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [
        ast.get_docstring(node) or ""
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, documented)
    ]
    return [word.lower() for docstring in docstrings for word in _PROSE_WORD.findall(docstring)]


def measure_prose(sources: Iterable[Source]) -> dict[str, Any]:
    """Measure the docstrings of the package."""
    words = list_docstring_words(sources)
    pronouns = Counter(word for word in words if word in PRONOUNS)
    return {
        "docstring_words": len(words),
        "pronoun_percent": find_percent(pronouns.total(), len(words)),
        "list_pronouns": [f"{word} ({count})" for word, count in pronouns.most_common()],
    }


# Sizes


def list_classes(sources: Iterable[Source]) -> list[tuple[Source, ast.ClassDef]]:
    """Return every class with the file that holds the class."""
    return [(source, node) for source in sources for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]


def list_methods(node: ast.ClassDef) -> list[Function]:
    """Return the functions that stand directly in the class."""
    return [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]


def find_large_classes(sources: Iterable[Source]) -> list[str]:
    """Return the classes with too many public methods and properties, the largest first."""
    found = []
    for source, node in list_classes(sources):
        public = {method.name for method in list_methods(node) if not method.name.startswith("_")}
        if len(public) > MOST_PUBLIC_METHODS:
            found.append((len(public), f"{source.path}:{node.lineno} {node.name}"))
    return sort_largest_first(found)


def sort_largest_first(sized: Iterable[tuple[int, str]]) -> list[str]:
    """Return the addresses with their sizes, the largest size first."""
    return [f"{address} ({size})" for size, address in sorted(sized, key=lambda pair: (-pair[0], pair[1]))]


def list_self_assignments(method: Function) -> set[str]:
    """Return the names of the attributes that the method assigns on its first parameter."""
    parameters = [*method.args.posonlyargs, *method.args.args]
    if not parameters:
        return set()
    return {
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == parameters[0].arg
    }


def list_declared_names(node: ast.ClassDef) -> set[str]:
    """Return the names that the class body, or a maker such as `__init__`, gives to every instance."""
    names: set[str] = set()
    for item in node.body:
        if isinstance(item, ast.AnnAssign):
            names.add(find_last_name(item.target))
        elif isinstance(item, ast.Assign):
            names.update(find_last_name(target) for target in item.targets)
            names.update(list_slots(item))
    for method in list_methods(node):
        if method.name in _MAKERS:
            names |= list_self_assignments(method)
        elif is_property(method):
            names.add(method.name)
    return names


def list_slots(item: ast.Assign) -> set[str]:
    """Return the strings of a `__slots__` assignment, and nothing for another assignment."""
    if "__slots__" not in {find_last_name(target) for target in item.targets}:
        return set()
    return {node.value for node in ast.walk(item) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def find_late_attributes(sources: Iterable[Source]) -> list[str]:
    """
    Return the classes that first assign an attribute of `self` outside `__init__`, with the attributes.

    Dataclasses are left out. A base class is looked up by its name, inside the package only. An assignment from another
    object (`line.stopped = True`) is not seen.
    """
    classes = list_classes(sources)
    bases = {node.name: node for _, node in classes}
    found = []
    for source, node in classes:
        if any(find_last_name(decorator) == "dataclass" for decorator in node.decorator_list):
            continue
        declared = set().union(*(list_declared_names(base) for base in list_family(node, bases)))
        assigned = set().union(
            *(list_self_assignments(method) for method in list_methods(node) if is_instance_method(method))
        )
        if late := sorted(assigned - declared):
            found.append(f"{source.path}:{node.lineno} {node.name} ({', '.join(late)})")
    return found


def is_instance_method(method: Function) -> bool:
    """Return whether the first parameter of the method is an instance."""
    names = {find_last_name(decorator) for decorator in method.decorator_list}
    return names.isdisjoint({"staticmethod", "classmethod"})


def list_family(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[ast.ClassDef]:
    """Return the class and its base classes inside the package."""
    family: list[ast.ClassDef] = []
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if current not in family:
            family.append(current)
            waiting += [classes[name] for base in current.bases if (name := find_last_name(base)) in classes]
    return family


def measure_sizes(sources: list[Source], definitions: list[Definition]) -> dict[str, Any]:
    """Measure functions, classes and files."""
    lengths = [definition.lines for definition in definitions]
    long_files = sort_largest_first((file.lines, str(file.path)) for file in sources if file.lines > MOST_FILE_LINES)
    long_functions = sort_largest_first((f.lines, f.address) for f in definitions if f.lines > MOST_FUNCTION_LINES)
    large_classes = find_large_classes(sources)
    late = find_late_attributes(sources)
    return {
        "functions": len(lengths),
        "function_lines_median": float(statistics.median(lengths)) if lengths else None,
        "function_lines_max": max(lengths, default=None),
        "long_functions": len(long_functions),
        "long_files": len(long_files),
        "large_classes": len(large_classes),
        "late_attribute_classes": len(late),
        "list_long_functions": long_functions,
        "list_long_files": long_files,
        "list_large_classes": large_classes,
        "list_late_attribute_classes": late,
    }


# Rooms


def measure_rooms(sources: Iterable[Source]) -> dict[str, Any]:
    """Count the modules at the top of the package, the rooms beside them, and the files in each room."""
    top, rooms = 0, Counter[str]()
    for source in sources:
        *folders, _file = source.path.parts[1:]
        is_module = source.path.name not in {"__init__.py", "__main__.py"}
        if folders:
            rooms["/".join(folders)] += is_module
        else:
            top += is_module
    return {
        "top_modules": top,
        "rooms": len({room.split("/")[0] for room in rooms}),
        "list_rooms": [f"{room} ({count})" for room, count in sorted(rooms.items())],
    }


# Patches in tests


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch call of a test: where, what object, which names."""

    address: str
    target: str  # dotted, with imported names resolved; starts with "?" for a local object
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """The patch as one line for a list."""
        return f"{self.address} {self.target.removeprefix('?')}: {', '.join(self.names)}"


def list_imports(tree: ast.Module) -> dict[str, str]:
    """Return the full name behind each imported name of the file. A relative import begins with a dot."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            names.update({alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names})
    return names


def is_patch(call: ast.Call) -> bool:
    """Return whether the call is one of `monkeypatch.setattr` and its kin, or one of `mock.patch` and its kin."""
    parts = ast.unparse(call.func).split(".")
    if len(parts) > 1 and parts[-1] in _PATCH_METHODS:
        return True
    if "patch" not in parts[-2:]:
        return False
    return parts[0] == "patch" or parts[0] in _PATCH_ROOTS  # and not client.patch(url)


def read_patch(call: ast.Call, source: Source, imports: dict[str, str]) -> Patch:
    """Read the target and the names of a patch call."""
    address = f"{source.path}:{call.lineno}"
    method = find_last_name(call.func)
    target = call.args[0] if call.args else ast.Constant("")
    if isinstance(target, ast.Constant):  # "package.module.name"
        owner, _, name = str(target.value).rpartition(".")
        return Patch(address, owner, (name,))
    root, *attributes = ast.unparse(target).split(".")
    owner = ".".join([imports.get(root, f"?{root}"), *attributes])
    names = [str(node.value) for node in call.args[1:2] if isinstance(node, ast.Constant)]
    if method == "multiple":
        names = [keyword.arg for keyword in call.keywords if keyword.arg]
    return Patch(address, owner, tuple(names))


def list_patches(sources: Iterable[Source]) -> list[Patch]:
    """Return every patch call of the tests."""
    patches = []
    for source in sources:
        imports = list_imports(source.tree)
        calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call) and is_patch(node)]
        patches += [read_patch(call, source, imports) for call in sorted(calls, key=lambda call: call.lineno)]
    return patches


def list_defined_names(sources: Iterable[Source]) -> set[str]:
    """Return every name that the package defines: functions, classes, variables and attributes."""
    names: set[str] = set()
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(find_last_name(node))
    return names


def is_ours(patch: Patch, package: str, defined: set[str]) -> bool:
    """Return whether the patch changes the package: by the import, or for a local object by the patched name."""
    if patch.target.startswith("?"):
        return any(name in defined for name in patch.names)
    return patch.target.split(".")[0] == package


def is_private(patch: Patch) -> bool:
    """Return whether the patch changes a private name."""
    return any(name.startswith("_") and not name.startswith("__") for name in patch.names)


def measure_tests(package: list[Source], tests: list[Source]) -> dict[str, Any]:
    """Count the tests and the patch calls in them."""
    count = sum(definition.name.startswith("test_") for definition in list_definitions(tests))
    patches = list_patches(tests)
    name = package[0].path.parts[0] if package else ""
    defined = list_defined_names(package)
    ours = [patch for patch in patches if is_ours(patch, name, defined)]
    private = [patch for patch in ours if is_private(patch)]
    return {
        "tests": count,
        "patches": len(patches),
        "patches_per_100_tests": find_percent(len(patches), count),
        "patches_of_the_package": len(ours),
        "patches_of_private_names": len(private),
        "list_patches_of_private_names": [patch.text for patch in private],
    }


# Measuring and printing


def measure_package(package: Path, tests: Path | None) -> dict[str, Any]:
    """Return every figure and every list of the package. Keys that begin with `list_` hold lists."""
    sources = load_sources(package, LEFT_OUT_FOLDERS)
    definitions = list_definitions(sources)
    figures = {
        **measure_names(definitions),
        **measure_prose(sources),
        **measure_sizes(sources, definitions),
        **measure_rooms(sources),
    }
    if tests is not None and tests.is_dir():
        figures |= measure_tests(sources, load_sources(tests))
    return figures


ROWS = {
    "verb_first_percent": "function names that begin with a verb, %",
    "one_word_percent": "function names of one word, %",
    "participle_first_percent": "function names that begin with a participle, %",
    "names_in_several_files": f"function names in {FEWEST_FILES} files or more",
    "function_names": "function names measured",
    "pronoun_percent": "pronouns and question words in docstrings, %",
    "docstring_words": "words in docstrings",
    "functions": "functions, with dunders and properties",
    "function_lines_median": "lines of a function, median",
    "function_lines_max": "lines of a function, max",
    "long_functions": f"functions over {MOST_FUNCTION_LINES} lines",
    "long_files": f"files over {MOST_FILE_LINES} lines",
    "large_classes": f"classes with more than {MOST_PUBLIC_METHODS} public methods",
    "late_attribute_classes": "classes with attributes made outside __init__",
    "top_modules": "modules at the top",
    "rooms": "rooms (sub-packages) at the top",
    "patches_per_100_tests": "patch calls per 100 tests",
    "patches": "patch calls",
    "patches_of_the_package": "patch calls on the package",
    "patches_of_private_names": "patch calls on private names of the package",
    "tests": "tests",
}
LISTS = {
    "list_large_classes": f"Classes with more than {MOST_PUBLIC_METHODS} public methods",
    "list_late_attribute_classes": "Classes with attributes made outside __init__",
    "list_long_files": f"Files over {MOST_FILE_LINES} lines",
    "list_long_functions": f"Functions over {MOST_FUNCTION_LINES} lines",
    "list_rooms": "Rooms, and the modules directly in each",
    "list_patches_of_private_names": "Patch calls on private names of the package",
}
VERBOSE_LISTS = {
    "list_names_in_several_files": f"Function names in {FEWEST_FILES} files or more",
    "list_participle_first": "Function names that begin with a participle",
    "list_not_verb_first": "Function names that do not begin with a verb",
    "list_pronouns": "Pronouns and question words",
}


def print_table(columns: dict[str, dict[str, Any]]) -> None:
    """Print one row a figure and one column a package."""
    label_width = max(map(len, ROWS.values()))
    widths = {title: max(len(title), 9) for title in columns}
    print(" " * label_width, *(title.rjust(width) for title, width in widths.items()), sep="  ")
    for key, label in ROWS.items():
        cells = [format_figure(figures.get(key)).rjust(widths[title]) for title, figures in columns.items()]
        print(label.ljust(label_width), *cells, sep="  ")


def format_figure(figure: float | None) -> str:
    """Return the figure as text, or a dash for a missing one."""
    if figure is None:
        return "-"
    return f"{figure:.1f}" if isinstance(figure, float) else str(figure)


def print_lists(figures: dict[str, Any], *, verbose: bool) -> None:
    """Print the lists that are not empty."""
    for key, title in {**LISTS, **(VERBOSE_LISTS if verbose else {})}.items():
        if items := figures.get(key):
            print(f"\n{title} ({len(items)})")
            for line in list_lines(items):
                print(f"  {line}")


def list_lines(items: list[str] | dict[str, list[str]]) -> Iterator[str]:
    """Yield the lines of a list, or of names with their files."""
    if isinstance(items, dict):
        yield from (f"{name}: {', '.join(files)}" for name, files in items.items())
    else:
        yield from items


# An earlier revision


def run_git(folder: Path, *arguments: str) -> bytes:
    """Run git in the folder and return what git prints. Leave the script with the message of git if git fails."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def measure_revision(revision: str, package: Path, tests: Path | None) -> dict[str, Any]:
    """Unpack the package and the tests of a revision into a temporary folder, and measure both there."""
    top = Path(run_git(package, "rev-parse", "--show-toplevel").decode().strip())
    folders_then = set(run_git(top, "ls-tree", "-d", "-r", "-z", "--name-only", revision).decode().split("\0"))
    wanted = [folder.relative_to(top) for folder in (package, tests) if folder and folder.is_relative_to(top)]
    present = [folder for folder in wanted if folder.as_posix() in folders_then]
    if package.relative_to(top) not in present:
        sys.exit(f"{revision} has no folder {package.relative_to(top)}")
    archive = run_git(top, "archive", "--format=zip", revision, *map(str, present))
    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(io.BytesIO(archive)) as unpacker:
        unpacker.extractall(temporary)
        old_tests = Path(temporary) / tests.relative_to(top) if tests and tests.is_relative_to(top) else None
        return measure_package(Path(temporary) / package.relative_to(top), old_tests)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure how a Python package reads.")
    parser.add_argument("package", nargs="?", type=Path, default=ROOT / "ingestd", metavar="PACKAGE_DIR")
    parser.add_argument("--tests", type=Path, metavar="DIR", help="default: the folder `tests` beside the package")
    parser.add_argument("--json", action="store_true", help="print one JSON object with every figure and list")
    parser.add_argument("--verbose", action="store_true", help="print the lists of names and pronouns too")
    parser.add_argument("--against", metavar="GIT_REV", help="measure this revision too and print both columns")
    return parser.parse_args()


def main() -> None:
    """Measure the package and print the figures."""
    options = parse_arguments()
    package = options.package.resolve()
    tests = (options.tests or package.parent / "tests").resolve()
    if not package.is_dir():
        sys.exit(f"no such folder: {package}")
    figures = measure_package(package, tests)
    columns = {package.name: figures}
    if options.against:
        columns = {options.against: measure_revision(options.against, package, tests), **columns}
    if options.json:
        print(json.dumps(columns if options.against else figures, indent=2))
        return
    print_table(columns)
    print_lists(figures, verbose=options.verbose)


if __name__ == "__main__":
    main()
