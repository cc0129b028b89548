#!/usr/bin/env python3
"""embed.py PAGE OUT.c - a text as a C array, for html.c."""

import sys


def main():
    page, out = sys.argv[1:]
    with open(page, "rb") as f:
        data = f.read() + b"\0"
    with open(out, "w", encoding="ascii") as f:
        f.write("extern const char html_page[];\nconst char html_page[] = {\n")
        for i in range(0, len(data), 16):
            f.write("\t" + ", ".join(f"'\\x{b:02x}'" for b in data[i:i + 16]) + ",\n")
        f.write("};\n")


if __name__ == "__main__":
    main()
