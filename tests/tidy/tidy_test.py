#!/usr/bin/env python3
"""tools/tidy.py on code made to mislead it."""

import importlib.util
import os
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = importlib.util.spec_from_file_location(
    "tidy", os.path.join(HERE, "..", "..", "tools", "tidy.py"))
tidy = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tidy)


def found(text):
    return tidy.functions(tidy.blank(text))


class Functions(unittest.TestCase):
    def test_counts_from_the_signature_to_the_brace(self):
        self.assertEqual(found("int f(void)\n{\n\treturn 0;\n}\n"), [("f", 1, 4)])

    def test_signature_over_two_lines(self):
        self.assertEqual(found("static int f(int a,\n\tint b)\n{\n}\n"), [("f", 1, 4)])

    def test_return_type_on_its_own_line(self):
        self.assertEqual(found("static int\nf(int a)\n{\n}\n"), [("f", 1, 4)])

    def test_braces_in_literals_and_comments_do_not_count(self):
        text = ("int f(void)\n{\n\tputs(\"{{\"); /* { */ // {\n\tchar c = '{';\n}\n"
                "int g(void) {\n}\n")
        self.assertEqual(found(text), [("f", 1, 5), ("g", 6, 7)])

    def test_quotes_in_comments_and_slashes_in_literals(self):
        text = "/* don't */\nint f(void)\n{\n\tputs(\"// \\\" /* \");\n}\n"
        self.assertEqual(found(text), [("f", 2, 5)])

    def test_structs_enums_and_initializers_are_no_functions(self):
        text = ("struct s {\n\tint (*call)(void);\n};\nenum { A, B };\n"
                "static const struct s table[F(2)] = {\n\t{ f },\n};\n"
                "static int v = (int){ 1 };\n")
        self.assertEqual(found(text), [])

    def test_attributes_before_and_behind(self):
        text = ("struct __attribute__((aligned(8))) s {\n\tint a;\n};\n"
                "__attribute__((format(printf, 1, 2)))\nvoid f(const char *p, ...)\n{\n}\n"
                "void g(void) __attribute__((noreturn));\n")
        self.assertEqual(found(text), [("f", 4, 7)])

    def test_function_that_takes_and_returns_function_pointers(self):
        text = "int f(int (*done)(void *, int))\n{\n}\n"
        self.assertEqual(found(text), [("f", 1, 3)])

    def test_macro_that_begins_a_function_is_named_by_its_argument(self):
        self.assertEqual(found("TEST(second_close_wins)\n{\n}\n"), [("second_close_wins", 1, 3)])

    def test_braces_in_both_branches_count_once(self):
        text = ("#if A\nint f(int a)\n{\n#else\nint f(void)\n{\n#endif\n\treturn 0;\n}\n"
                "int g(void)\n{\n}\n")
        self.assertEqual(found(text), [("f", 5, 9), ("g", 10, 12)])

    def test_macro_bodies_over_lines_are_skipped(self):
        text = "#define M(x) \\\n\tdo { \\\n\t\tif (x) { \\\n\t} while (0)\nint f(void)\n{\n}\n"
        self.assertEqual(found(text), [("f", 5, 7)])

    def test_nested_blocks_and_compound_literals_inside(self):
        text = "int f(void)\n{\n\tif (1) {\n\t\tg((struct s){ .a = { 1 } });\n\t}\n}\n"
        self.assertEqual(found(text), [("f", 1, 6)])

    def test_prototype_before_a_function(self):
        self.assertEqual(found("int f(void);\n\nint g(void)\n{\n}\n"), [("g", 3, 5)])


class Tree(unittest.TestCase):
    """Whole trees, each with one fault."""

    def complaints(self, files, executable=()):
        files.setdefault("src/meson.build", "'x'\n")
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as f:
                    f.write(text)
                os.chmod(full, 0o755 if path in executable else 0o644)
            return [f"{path}:{line}: {what}"
                    for path, line, what in tidy.Tidy(root).run(compile_headers=False)]

    def one(self, part, files, **how):
        got = self.complaints(files, **how)
        self.assertEqual(len(got), 1, got)
        self.assertIn(part, got[0])

    def none(self, files, **how):
        self.assertEqual(self.complaints(files, **how), [])

    def test_include_of_a_higher_layer(self):
        self.one("net/ must not include flow/", {"src/net/x.c": '#include "flow/a.h"\n'})

    def test_include_of_a_stranger(self):
        self.one("net/ must not include http/", {"src/net/x.c": '#include "http/a.h"\n'})

    def test_include_of_a_lower_layer(self):
        self.none({"src/flow/x.c": '#include "net/a.h"\n#include "flow/b.h"\n'})

    def test_include_in_a_comment(self):
        self.none({"src/net/x.c": '/*\n#include "flow/a.h"\n*/\n'})

    def test_the_load_tool_has_its_own_list(self):
        self.one("must not include conf/", {"tools/load/x.c": '#include "conf/a.h"\n',
                                            "tools/load/meson.build": "'x'\n"})

    def test_private_header_of_another_folder(self):
        self.one("not in this folder", {"src/flow/x.c": '#include "state.h"\n'})

    def test_liburing_outside_ring(self):
        self.one("only src/ring/", {"src/flow/x.c": "#include <liburing.h>\n"})

    def test_ares_outside_names(self):
        self.one("only src/names/", {"src/net/x.c": "#include <ares.h>\n"})

    def test_second_file_with_llhttp(self):
        self.one("included by src/http/x.c already",
                 {"src/http/x.c": "#include <llhttp.h>\n", "src/http/y.c": "#include <llhttp.h>\n",
                  "src/meson.build": "'x' 'y'\n"})

    def test_guards(self):
        self.none({"include/base/a.h": "/* a */\n#pragma once\n",
                   "include/base/b.h": "#ifndef B_H\n#define B_H\n#endif\n"})
        self.one("include guard", {"include/base/a.h": "int a;\n"})

    def test_long_function(self):
        body = "\ta();\n" * 67
        self.none({"src/base/x.c": f"int f(void)\n{{\n{body}}}\n"})
        self.one("f() has 71 lines", {"src/base/x.c": f"int f(void)\n{{\n{body}\ta();\n}}\n"})

    def test_long_file_and_long_line(self):
        self.none({"src/base/x.c": "int a;\n" * 600})
        self.one("601 lines", {"src/base/x.c": "int a;\n" * 601})
        self.one("columns", {"src/base/x.c": "\t" + "a" * 93 + "\n"})

    def test_indent(self):
        self.one("by spaces", {"src/base/x.c": "int f(void)\n{\n    a();\n}\n"})
        self.none({"src/base/x.c": "/*\n *    picture\n */\nint f(int a,\n      int b);\n"
                   "int g(void)\n{\n\ta(b,\n\t  c);\n\treturn a &&\n\t       b;\n}\n"})

    def test_banned_calls(self):
        self.one("strcpy() is banned", {"src/base/x.c": "void f(void)\n{\n\tstrcpy(a, b);\n}\n"})
        self.none({"src/base/x.c": "/* strcpy(a, b) */\nvoid f(void)\n{\n\tring->select(a);\n"
                   "\tmy_atoi(b);\n\tputs(\"gets(\");\n}\n"})

    def test_process_ends_only_in_app(self):
        self.one("exit() below src/app", {"src/flow/x.c": "void f(void)\n{\n\texit(1);\n}\n"})
        self.none({"src/base/x.c": "void f(void)\n{\n\tabort();\n}\n"})

    def test_allocation(self):
        self.one("malloc() outside", {"src/flow/x.c": "void f(void)\n{\n\ta = malloc(1);\n}\n"})
        self.none({"src/base/x.c": "void f(void)\n{\n\ta = malloc(1);\n}\n"})

    def test_tables_are_covered_by_name(self):
        table = 'CLOSE_REASON(CLIENT_EOF, 0, "a, b")\nCLOSE_REASON(HEAD_TIMEOUT, 1, "c")\n'
        self.one("no test mentions HEAD_TIMEOUT",
                 {"include/flow/close_reason.def": table, "tests/a.py": "close=CLIENT_EOF\n"})
        self.none({"include/flow/close_reason.def": table,
                   "tests/a.py": "CLOSE_CLIENT_EOF head_timeout\n"})
        self.one("no test mentions drain_timeout",
                 {"include/conf/keys.def": 'CONF_KEY(proxy, drain_timeout, TIME, "x")\n'})

    def test_words(self):
        self.one("unfinished", {"src/base/x.c": "/* TO" "DO */\n"})
        self.one("package host", {"README.md": "see deb.deb" "ian.org\n"})
        self.one("path of one machine", {"README.md": "cd /ro" "ot/x\n"})
        self.none({"README.md": "cd $top/ro" "ot/x and framework/x\n"})

    def test_dead_file(self):
        self.one("does not build", {"src/base/y.c": "int a;\n"})

    def test_scripts(self):
        good = "#!/usr/bin/env bash\nset -euo pipefail\n"
        self.none({"tools/a": good}, executable=("tools/a",))
        self.one("not executable", {"tools/a": good})
        self.one("pipefail", {"tools/a": "#!/bin/sh\n"}, executable=("tools/a",))


if __name__ == "__main__":
    unittest.main()
