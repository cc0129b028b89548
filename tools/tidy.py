#!/usr/bin/env python3
"""tidy - the rules of this source tree, as a test.

    tools/tidy.py [--root DIR] [--no-compile]

Prints every breach as FILE:LINE: what is wrong, and exits 1 when there was one.
The tables below are the rules; a rule is changed by editing its row. Each check
is a function named check_*, and works on text from which comments and literals
were blanked (same length, same lines), so that prose never trips it.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor

# ------------------------------------------------------------------ the rules

# Includes point down. Layers at one height are strangers to each other.
LAYER = {
    "base": 0,
    "ring": 1, "net": 1, "http": 1, "tls": 1,
    "conf": 2, "names": 2, "upstream": 3, "flow": 4, "worker": 5, "control": 6, "app": 7,
}

# Programs beside the layers, and the layers that they may use.
PROGRAM_MAY_USE = {"tools/load/": {"base", "ring", "net", "http"}}

# header: (where it may be included, in how many files there)
LIBRARY_HEADER = {
    "liburing.h": ("src/ring/", None),
    "llhttp.h": ("src/http/", 1),
    "ini.h": ("src/conf/", 1),
    "ares.h": ("src/names/", 1),
}

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
TAB = 8           # in C; 4 in scripts

BANNED = {
    "strcpy": "snprintf, or memcpy with a known length",
    "strncpy": "snprintf, or memcpy with a known length",
    "stpcpy": "snprintf, or memcpy with a known length",
    "strcat": "snprintf at an offset",
    "strncat": "snprintf at an offset",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "scanf": "a parser with bounds",
    "sscanf": "a parser with bounds",
    "fscanf": "a parser with bounds",
    "atoi": "strtol with its error checked",
    "atol": "strtol with its error checked",
    "atoll": "strtoll with its error checked",
    "atof": "strtod with its error checked",
    "strtok": "strchr or memchr over a span",
    "strtok_r": "strchr or memchr over a span",
    "alloca": "a fixed array, or memory reserved at start",
    "rand": "a generator whose seed is the caller's",
    "random": "a generator whose seed is the caller's",
    "srand": "a generator whose seed is the caller's",
    "gmtime": "gmtime_r",
    "localtime": "localtime_r",
    "ctime": "strftime",
    "asctime": "strftime",
    "inet_addr": "inet_pton",
    "inet_ntoa": "inet_ntop",
    "gethostbyname": "getaddrinfo",
    "select": "poll",
    "mktemp": "mkstemp",
    "tmpnam": "mkstemp",
    "setjmp": "plain returns",
    "longjmp": "plain returns",
    "system": "posix_spawn or execve",
    "popen": "posix_spawn or execve",
}

# Only src/app may end the process; a failed assertion (base) may abort it.
ENDS_PROCESS = {"exit", "_exit", "_Exit", "quick_exit", "abort"}
MAY_ABORT = ("src/base/", "include/base/")

# Memory is reserved at start: the places that may ask the system for it.
ALLOCATES = {"malloc", "calloc", "realloc", "reallocarray", "strdup", "strndup", "asprintf",
             "vasprintf", "aligned_alloc", "posix_memalign", "memalign"}
MAY_ALLOCATE = (
    "src/base/", "include/base/",   # slabs and the region
    "src/conf/",                    # a snapshot is built before it is used
    "src/names/",                   # control plane, on a thread of its own; answers are bounded
    "src/app/",                     # start-up and reload
    "src/http/router.c", "src/net/access_list.c",  # made with the snapshot
    "src/net/source_limits.c",      # a table of fixed size, made at start
    "src/ring/ring.c",              # ring_open()
    "src/upstream/upstream.c", "src/upstream/arena.c",  # per-worker copies, made with the worker
    "src/flow/flow.c", "src/flow/slices.c", "src/flow/accept.c",  # the same
    "src/worker/worker.c", "src/worker/mailbox.c",
    "tools/load/",                  # a program of its own, allocates before its run
    "tests/",
)

# table: (which argument of a row is the name, what a test may call it)
TABLES = {
    "include/flow/close_reason.def": (0, ("{}", "CLOSE_{}")),
    "include/conf/keys.def": (1, ("{}",)),
}
STATS_TABLE = (0, ("{}",))  # any *_stats.def

# Spelled in halves, so that this file does not trip over itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"]) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.}$])/(?:wo" r"rk|ro" r"ot|ho" r"me)/")
PACKAGE_HOST = re.compile(
    r"\b(?:\w+\.)*(?:deb" r"ian\.(?:org|net)|ubu" r"ntu\.com|np" r"mjs\.(?:org|com)"
    r"|py" r"pi\.org|pyth" r"onhosted\.org|gol" r"ang\.org|cra" r"tes\.io)\b")

# Folders that hold nothing written by hand.
SKIPPED = {".git", ".deps", ".deps.new", ".cache", "__pycache__", "shared", "corpus"}

# ------------------------------------------------------------------- the text

TOKEN = re.compile(
    r"""(?P<comment>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?(?:\*/|\Z))"""
    r"""|(?P<literal>"(?:[^"\\\n]|\\.|\\\n)*"|'(?:[^'\\\n]|\\.)*')""", re.S)


def blank(text, keep_literals=False):
    """The text with comments (and literals) turned to spaces; lines stay."""
    def spaces(m):
        if m.lastgroup == "literal":
            if keep_literals:
                return m[0]
            return m[0][0] + re.sub(r"[^\n]", " ", m[0][1:-1]) + m[0][-1]
        return re.sub(r"[^\n]", " ", m[0])
    return TOKEN.sub(spaces, text)


class Source:
    """One file: its text, its text without comments, and its bare code."""

    def __init__(self, root, path):
        self.path = path
        self.full = os.path.join(root, path)
        with open(self.full, encoding="utf-8", errors="replace", newline="") as f:
            self.text = f.read()
        self.lines = self.text.split("\n")
        # Bad input is some tests' business: it may look as it likes.
        self.is_test_data = path.startswith("tests/") and path.endswith((".ini", ".txt"))
        self.is_c = path.endswith((".c", ".h", ".def"))
        if self.is_c:
            self.uncommented = blank(self.text, keep_literals=True)
            self.code = blank(self.text)
        self.starts = None

    def line_of(self, offset):
        if self.starts is None:
            self.starts = [0] + [m.end() for m in re.finditer("\n", self.text)]
        return bisect_right(self.starts, offset)

    def includes(self):
        for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]',
                             self.uncommented, re.M):
            yield self.line_of(m.start()), m[1], m[2]

    def calls(self, names):
        pattern = r"(?<![\w.])(?<!->)(" + "|".join(sorted(names)) + r")\s*\("
        for m in re.finditer(pattern, self.code):
            yield self.line_of(m.start()), m[1]

    @property
    def layer(self):
        m = re.match(r"(?:include|src)/(\w+)/", self.path)
        return m[1] if m else None


# ------------------------------------------------------------------ functions

ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)")


def function_name(head):
    """The name, when the text before a brace at file level begins a function."""
    head = ATTRIBUTE.sub(lambda m: " " * len(m[0]), head)
    if not head.rstrip().endswith(")"):
        return None
    depth, outside = 0, []
    for c in head:
        depth += c == "("
        if depth == 0:
            outside.append(c)
        depth -= c == ")"
    if "=" in outside:
        return None  # an initializer, such as f(x) = (struct s) {
    names = re.findall(r"(\w+)\s*\(\s*(\w*)", head)
    if not names:
        return None
    macro = re.fullmatch(r"[A-Z][A-Z0-9_]*", names[0][0])
    return names[0][1] if macro and names[0][1] else names[0][0]


def functions(code):
    """(name, first line, last line) of every function, lines from 1.

    Conditional branches of the preprocessor are alternatives: each #else goes
    on from the depth at its #if, so braces opened in both count once.
    """
    depth, line, head, head_line = 0, 1, [], None
    opened, found, branches = None, [], []
    continued = False
    for text in code.split("\n"):
        stripped = text.lstrip()
        if continued or stripped.startswith("#"):
            if not continued:
                word = re.match(r"#\s*(\w*)", stripped)[1]
                if word in ("if", "ifdef", "ifndef"):
                    branches.append((depth, list(head), head_line, opened))
                elif word in ("else", "elif") and branches:
                    depth, head, head_line, opened = branches[-1]
                    head = list(head)
                elif word == "endif" and branches:
                    branches.pop()
            continued = text.rstrip().endswith("\\")
            line += 1
            continue
        for c in re.findall(r"[{};]|[^{};]+", text):
            if c == "{":
                if depth == 0:
                    name = function_name(" ".join(head))
                    opened = (name, head_line) if name else None
                depth += 1
            elif c == "}":
                depth = max(depth - 1, 0)
                if depth == 0:
                    if opened:
                        found.append((*opened, line))
                    opened, head, head_line = None, [], None
            elif depth == 0 and c == ";":
                head, head_line = [], None
            elif depth == 0 and c.strip():
                head.append(c)
                head_line = head_line or line
        line += 1
    return found


# --------------------------------------------------------------------- checks

LABEL = re.compile(r"(^\s*\w+|\bcase\b[^?]*):$")


class Tidy:
    def __init__(self, root):
        self.root = root
        self.complaints = []
        self.sources = [Source(root, p) for p in self.find()]
        self.c_sources = [s for s in self.sources if s.is_c]

    def find(self):
        """Every text file of the tree, but for what is built or fetched."""
        for top, folders, files in os.walk(self.root):
            here = os.path.relpath(top, self.root)
            folders[:] = sorted(
                f for f in folders
                if f not in SKIPPED and not (here == "." and f.startswith("build")))
            for name in sorted(files):
                if re.search(r"\.(c|h|def|py|sh|md|ini|build|txt|cfg|conf|html|js|css)$", name) \
                        or "." not in name.lstrip("."):
                    path = os.path.normpath(os.path.join(here, name))
                    if not os.path.islink(os.path.join(self.root, path)):
                        yield path

    def complain(self, source, line, what):
        path = source.path if isinstance(source, Source) else source
        self.complaints.append((path, line, what))

    def check_layers(self):
        for s in self.c_sources:
            here = s.layer
            program = next((p for p in PROGRAM_MAY_USE if s.path.startswith(p)), None)
            if here and here not in LAYER:
                self.complain(s, 1, f"no layer is called {here}")
                continue
            for line, mark, header in s.includes():
                if mark != '"' or not (here or program):
                    continue
                there = header.split("/")[0] if "/" in header else None
                beside = os.path.exists(os.path.join(os.path.dirname(s.full), header))
                if there is None:
                    if not beside:
                        self.complain(s, line, f'"{header}" is not in this folder; a public '
                                      f'header is included as "layer/{header}"')
                elif there not in LAYER:
                    self.complain(s, line, f"{there}/ is not a layer")
                elif program and there not in PROGRAM_MAY_USE[program]:
                    self.complain(s, line, f"{program} must not include {there}/")
                elif here and here != there and LAYER[there] >= LAYER[here]:
                    self.complain(s, line, f"{here}/ must not include {there}/")

    def check_library_headers(self):
        for library, (place, files_max) in LIBRARY_HEADER.items():
            users = []
            for s in self.c_sources:
                for line, _, header in s.includes():
                    if header != library and not header.startswith(library[:-2] + "/"):
                        continue
                    if not s.path.startswith(place):
                        self.complain(s, line, f"only {place} may include <{library}>")
                    elif s not in users:
                        users.append(s)
            if files_max is not None and len(users) > files_max:
                for s in users[files_max:]:
                    self.complain(s, 1, f"<{library}> is included by {users[0].path} already; "
                                  f"{files_max} file may")

    def check_headers_guarded(self):
        for s in self.c_sources:
            if s.path.endswith(".h") and not re.match(
                    r"\s*#\s*(pragma\s+once\b|ifndef\s+(\w+)\s*\n\s*#\s*define\s+\2\b)",
                    s.uncommented):
                self.complain(s, 1, "header without #pragma once or include guard")

    def check_headers_alone(self):
        headers = [s for s in self.c_sources
                   if s.path.endswith(".h") and s.path.startswith(("include/", "src/"))]
        command = [os.environ.get("CC", "gcc").split()[0], "-fsyntax-only", "-std=gnu11",
                   "-D_GNU_SOURCE", "-Iinclude", "-isystem", ".deps/include", "-x", "c"]

        def compile_one(s):
            return s, subprocess.run(command + [s.path], cwd=self.root, capture_output=True,
                                     text=True, check=False)
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            for s, result in pool.map(compile_one, headers):
                if result.returncode != 0:
                    first = next((l for l in result.stderr.split("\n") if "error" in l), "?")
                    self.complain(s, 1, f"does not compile alone: {first}")

    def check_sizes(self):
        for s in self.c_sources:
            if len(s.lines) - 1 > FILE_LINES_MAX:
                self.complain(s, FILE_LINES_MAX, f"{len(s.lines) - 1} lines, {FILE_LINES_MAX} "
                              "are allowed: split by noun")
            for name, first, last in functions(s.code):
                length = last - first + 1
                if length > FUNCTION_LINES_MAX:
                    self.complain(s, first, f"{name}() has {length} lines, {FUNCTION_LINES_MAX} "
                                  "are allowed")

    def check_lines(self):
        for s in self.sources:
            if not s.text or s.is_test_data:
                continue
            formatted = s.is_c or not s.path.endswith((".md", ".html", "LICENSE"))
            for n, line in enumerate(s.lines, 1):
                if formatted and len(line.expandtabs(TAB if s.is_c else 4)) > COLUMNS_MAX:
                    self.complain(s, n, f"longer than {COLUMNS_MAX} columns")
                if line.endswith((" ", "\t", "\r")) and not s.path.endswith(".md"):
                    self.complain(s, n, "white space at the end of the line")
            if not s.text.endswith("\n"):
                self.complain(s, len(s.lines), "no newline at the end of the file")

    def check_indent(self):
        """Tabs; only what goes on from the line before may be aligned by spaces."""
        for s in self.c_sources:
            depth, before = 0, ""
            for n, (line, bare) in enumerate(zip(s.lines, s.code.split("\n")), 1):
                if not bare.strip():
                    continue
                begins = depth == 0 and (not before or before[-1] in ";{}" or LABEL.search(before))
                if begins and re.match(r"\t* ", line):
                    self.complain(s, n, "indented by spaces; this tree indents by tabs")
                depth = max(depth + bare.count("(") - bare.count(")"), 0)
                before = bare.rstrip()

    def check_words(self):
        for s in self.sources:
            for pattern, what in ((UNFINISHED, "unfinished work is an issue, not a comment: {}"),
                                  (PACKAGE_HOST, "name of a package host: {}"),
                                  (MACHINE_PATH, "path of one machine: {}")):
                for m in pattern.finditer(s.text):
                    self.complain(s, s.line_of(m.start()), what.format(m[0]))

    def check_calls(self):
        for s in self.c_sources:
            for line, name in s.calls(BANNED):
                self.complain(s, line, f"{name}() is banned; use {BANNED[name]}")
            if s.layer and s.layer != "app":
                for line, name in s.calls(ENDS_PROCESS):
                    if name != "abort" or not s.path.startswith(MAY_ABORT):
                        self.complain(s, line, f"{name}() below src/app; return the error")
            if not s.path.startswith(MAY_ALLOCATE):
                for line, name in s.calls(ALLOCATES):
                    self.complain(s, line, f"{name}() outside start-up; memory is reserved at "
                                  "start (MAY_ALLOCATE in tools/tidy.py lists the exceptions)")

    def check_tables(self):
        """Coverage by name: each row of a table is mentioned in some test."""
        words = set()
        for s in self.sources:
            if s.path.startswith("tests/"):
                words.update(w.lower() for w in re.findall(r"\w+", s.text))
        for s in self.c_sources:
            if s.path.endswith("_stats.def"):
                column, spellings = STATS_TABLE
            elif s.path in TABLES:
                column, spellings = TABLES[s.path]
            else:
                continue
            for m in re.finditer(r"^[ \t]*[A-Z][A-Z0-9_]*\(([^)\n]*)", s.code, re.M):
                arguments = [a.strip() for a in m[1].split(",")]
                if len(arguments) <= column:
                    continue
                name = arguments[column]
                if not any(form.format(name).lower() in words for form in spellings):
                    self.complain(s, s.line_of(m.start(1)), f"no test mentions {name}")

    def check_built(self):
        """Dead files: every .c stands in the table of the build file above it."""
        for s in self.c_sources:
            if not s.path.endswith(".c"):
                continue
            folder, stem = os.path.dirname(s.path), os.path.basename(s.path)[:-2]
            while folder and not os.path.exists(os.path.join(self.root, folder, "meson.build")):
                folder = os.path.dirname(folder)
            with open(os.path.join(self.root, folder, "meson.build"), encoding="utf-8") as f:
                if not re.search(rf"'(?:[\w/]*/)?{re.escape(stem)}(?:\.c)?'", f.read()):
                    self.complain(s, 1, f"{folder}/meson.build does not build this file")

    def check_scripts(self):
        for s in self.sources:
            if s.is_test_data:
                continue
            script = s.text.startswith("#!")
            runs = os.access(s.full, os.X_OK)
            expected = s.path == ".ci/run" or (
                s.path.startswith("tools/") and not s.is_c
                and ("." not in os.path.basename(s.path) or s.path.endswith((".py", ".sh"))))
            if expected and not script:
                self.complain(s, 1, "script without #! line")
            if (expected or script) and not runs:
                self.complain(s, 1, "script that is not executable: chmod +x")
            if runs and not script:
                self.complain(s, 1, "executable, but not a script")
            if re.match(r"#!.*\b(ba)?sh\b", s.text) and "set -euo pipefail" not in s.text:
                self.complain(s, 1, "shell script without set -euo pipefail")

    def report(self):
        """What is worth knowing but breaks no rule."""
        ours = [s for s in self.c_sources if s.path.startswith(("src/", "include/"))]
        lengths = sorted(last - first + 1 for s in ours for _, first, last in functions(s.code))
        lines = sum(len(s.lines) - 1 for s in ours)
        if not lengths:
            return "tidy: no functions yet"
        asserts = sum(len(re.findall(r"\b\w*assert\w*\s*\(", s.code)) for s in ours)
        comments = sum(1 for s in ours for full, bare in
                       zip(s.lines, s.uncommented.split("\n")) if full.strip() and not bare.strip())
        ifs = sum(len(re.findall(r"^\s*#\s*if", s.code, re.M)) for s in ours
                  if not s.path.endswith(".h"))
        return (f"tidy: {len(ours)} files, {lines} lines, {len(lengths)} functions: "
                f"median {statistics.median(lengths):g}, p90 {lengths[len(lengths) * 9 // 10]}, "
                f"longest {lengths[-1]} lines; {1000 * asserts / lines:.0f} asserts and "
                f"{1000 * ifs / lines:.1f} #if per 1000 lines; "
                f"{100 * comments / lines:.0f} % comments")

    def run(self, compile_headers=True):
        for name in dir(self):
            if name.startswith("check_") and (compile_headers or name != "check_headers_alone"):
                getattr(self, name)()
        return sorted(set(self.complaints))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--root", default=above)
    parser.add_argument("--no-compile", action="store_true", help="do not compile headers alone")
    arguments = parser.parse_args()
    tidy = Tidy(os.path.normpath(arguments.root))
    complaints = tidy.run(not arguments.no_compile)
    for path, line, what in complaints:
        print(f"{path}:{line}: {what}")
    print(tidy.report())
    print(f"tidy: {len(complaints)} complaints" if complaints else "tidy: all rules hold")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
